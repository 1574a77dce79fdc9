/* The load generator: N players on few cores, so that the server is what is measured.
 *
 * Usage: load --ports P[,P...] --clients N --seconds S [--tokens FILE --modes a,b,...] [--ramp PER_S] [--patience S] [--resume 1] [--first N]
 *
 * Opens N WebSocket connections to 127.0.0.1. Without tokens a client plays at once; with them it goes through the real
 * protocol: hello, queue, join (on another connection where `match_found` names another port), and plays from
 * `match_started`. A client that plays sends a masked command 20 times a second; all clients' commands are evenly spread in
 * time. With --resume 1 a client whose connection dies goes on as the SDK does: its session resumes at the next port (at once, then
 * after 0.1 s, doubled each time up to 5 s, with full jitter), and it is back with the next snapshot. Once everyone plays (or patience ends) it prints {"steady": ...}, measures for S seconds, and prints its figures.
 */
#include "common.h"

#define CLIENTS_MAX 16000
#define BUFFER 16384
#define MODES_MAX 32
#define PORTS_MAX 16
#define RING 64
#define TOKEN_MAX 2048
#define PERIOD_US 50000

enum State { IDLE, CONNECTING, UPGRADING, GREETING, QUEUED, JOINING, PLAYING, DEAD, RETRYING };

typedef struct {
    int fd;
    unsigned opened; /* connections so far: a new socket may get the number of the old one */
    enum State state;
    uint16_t port;
    size_t have;
    uint32_t sequence, seen_tick;
    uint32_t processed;
    uint64_t number;       /* of the last critical message we sent */
    uint64_t acknowledged; /* the last critical message of the server */
    int64_t last_us;       /* when the last snapshot came */
    int64_t lost_us;       /* when its connection died; 0: it plays, or never did */
    int64_t retry_us;      /* when it connects again */
    int tries;             /* in a row */
    uint16_t fallback;     /* the process that goes on with its match if this one dies; 0: not known */
    int resumable;         /* it had a seat: losing the connection is not the end */
    char resume[TOKEN_MAX + 1];
    char match[80], match_token[TOKEN_MAX + 1]; /* to join with after a change of connection */
    int64_t sent_us[RING];
    uint8_t buffer[BUFFER];
} Client;

static Client **clients;
static char **tokens;
static int count, poll_fd, measuring;
static uint16_t ports[PORTS_MAX];
static int port_count;
static char *modes[MODES_MAX];
static int mode_count;
static uint64_t frames_in, bytes_in, commands_out, commands_skipped, died, refused, moved;
static Histogram gaps, send_late, input_to_snapshot;
static uint64_t lost, forgotten, holes; /* connections that died, sessions that did not go on */
static double *back_ms;          /* from there to the next snapshot */
static int back_count, resuming;
static char first_trouble[320];
static int64_t started_us;
static uint32_t seed = 2463534242u;

static uint32_t random32(void) { /* xorshift: masks need no more */
    seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
    return seed;
}

static void trouble(const char *what, const char *detail, size_t size) {
    if (!first_trouble[0]) {
        snprintf(first_trouble, sizeof first_trouble, "%s: %.*s", what, (int)(size > 200 ? 200 : size), detail);
        for (char *p = first_trouble; *p; p++)
            if (*p == '"' || *p == '\\' || (uint8_t)*p < 32 || (uint8_t)*p > 126) *p = '\'';
    }
}

/* ------------------------------------------------------------------------------------------------------------------ JSON */

static const char *after_string(const char *p, const char *end) { /* p at the opening quote; past the closing one or end */
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\') p++;
    return p < end ? p + 1 : end;
}

/* The value of a key of the outermost object: strings unescaped (`\uXXXX` is not needed for what we read and refused), others
 * as written. Returns 0 where the key is missing, too long for `room`, or the text is no object. */
static int json_value(const char *p, size_t size, const char *key, char *out, size_t room) {
    const char *end = p + size;
    size_t key_size = strlen(key);
    int depth = 0;
    while (p < end) {
        if (*p == '"') {
            const char *from = p + 1, *past = after_string(p, end);
            size_t length = past > from ? (size_t)(past - from - 1) : 0;
            p = past;
            while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) p++;
            if (depth != 1 || p >= end || *p != ':' || length != key_size || memcmp(from, key, key_size)) continue;
            for (p++; p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'); p++) {}
            size_t n = 0;
            if (p < end && *p == '"') {
                const char *last = after_string(p, end) - 1;
                for (p++; p < last; p++) {
                    if (*p == '\\' && (*++p == 'u' || p >= last)) return 0;
                    if (n + 1 >= room) return 0;
                    out[n++] = *p;
                }
            } else {
                for (; p < end && *p != ',' && *p != '}' && *p != ' '; p++) {
                    if (n + 1 >= room) return 0;
                    out[n++] = *p;
                }
            }
            out[n] = 0;
            return 1;
        }
        if (*p == '{' || *p == '[') depth++;
        else if (*p == '}' || *p == ']') depth--;
        p++;
    }
    return 0;
}

/* --------------------------------------------------------------------------------------------------------------- sending */

static void leave(Client *c, const char *why) {
    if (c->fd >= 0) {
        struct linger reset = {.l_onoff = 1, .l_linger = 0}; /* leaves no TIME_WAIT: runs follow one another */
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(c->fd);
        c->fd = -1;
    }
    if (why && resuming && c->resumable) {
        int64_t now = now_us(), wait = 0;
        if (!c->lost_us) c->lost_us = now, c->tries = 0, lost++;
        if (c->tries) {
            int64_t most = 100000;
            for (int i = 0; i < c->tries && most < 5000000; i++) most *= 2;
            wait = random32() % (most < 5000000 ? most : 5000000);
            if (c->fallback && c->fallback != c->port) {
                c->port = c->fallback;
                c->fallback = 0;
            } else for (int i = 0; i < port_count; i++)
                if (ports[i] == c->port) {
                    c->port = ports[(i + 1) % port_count];
                    break;
                }
        }
        c->tries++;
        c->retry_us = now + wait;
        c->match[0] = 0;
        c->state = RETRYING;
    } else if (why) {
        c->state = DEAD;
        died++;
        trouble("a client died", why, strlen(why));
    }
}

static int send_frame(Client *c, int opcode, const uint8_t *payload, size_t size) { /* 1: sent, 0: no room, -1: over */
    uint8_t frame[TOKEN_MAX * 2 + 512];
    size_t header = 2;
    if (size + 16 > sizeof frame) return -1;
    frame[0] = (uint8_t)(0x80 | opcode);
    if (size < 126) {
        frame[1] = (uint8_t)(0x80 | size);
    } else {
        frame[1] = 0x80 | 126, frame[2] = (uint8_t)(size >> 8), frame[3] = (uint8_t)size;
        header = 4;
    }
    write32(frame + header, random32());
    const uint8_t *mask = frame + header;
    header += 4;
    for (size_t i = 0; i < size; i++) frame[header + i] = payload[i] ^ mask[i & 3];
    ssize_t sent = send(c->fd, frame, header + size, MSG_NOSIGNAL);
    if (sent == (ssize_t)(header + size)) return 1;
    if (sent < 0 && errno == EAGAIN) return 0;
    return -1; /* half a frame cannot be taken back */
}

static void say(Client *c, const char *text) {
    if (send_frame(c, OP_TEXT, (const uint8_t *)text, strlen(text)) != 1) leave(c, "a control message could not be sent");
}

static void send_command(Client *c, int index, int64_t now) {
    uint8_t p[COMMAND_SIZE] = {COMMAND};
    write32(p + 4, c->sequence + 1);
    write32(p + 8, (uint32_t)((now - started_us) / 1000));
    write32(p + 12, c->seen_tick);
    /* A cursor that swings slowly around the player, movement that changes every two seconds, a shot each second. */
    uint32_t step = c->sequence + (uint32_t)index * 37;
    for (int k = 0; k < 3; k++) {
        uint8_t *s = p + HEADER_SIZE + 8 * k;
        int swing = (int)((step * 3 + (uint32_t)k) % 240);
        if (swing > 120) swing = 240 - swing;
        write16(s, 320);
        write16(s + 2, (swing - 60) * 4);
        s[4] = (uint8_t)(step / 40 % 2 ? 100 : -100);
        s[5] = (uint8_t)(step / 80 % 2 ? 60 : -60);
        s[6] = step % 20 == 0 && k == 0;
        s[7] = k == 0 ? 16 : 17;
    }
    int sent = send_frame(c, OP_BINARY, p, COMMAND_SIZE);
    if (sent < 0) {
        leave(c, "a command was cut");
    } else if (sent == 0) {
        if (measuring) commands_skipped++;
    } else {
        c->sequence++;
        c->sent_us[c->sequence % RING] = now;
        if (measuring) commands_out++;
    }
}

/* ------------------------------------------------------------------------------------------------------------- the protocol */

static void open_socket(Client *c, int index) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) {
        leave(c, "no socket");
        return;
    }
    no_delay(c->fd);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(c->port)};
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
        leave(c, strerror(errno));
        return;
    }
    c->opened++;
    c->state = CONNECTING;
    c->have = 0;
    if (!c->resume[0]) c->number = c->acknowledged = 0;
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = (uint32_t)index};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void ask_upgrade(Client *c, int index) {
    char request[512];
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    int size = snprintf(request, sizeof request,
                        "GET / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Protocol: " SUBPROTOCOL "\r\n\r\n",
                        c->port);
    if (error || send(c->fd, request, (size_t)size, MSG_NOSIGNAL) != size) {
        leave(c, strerror(error ? error : errno));
        return;
    }
    c->state = UPGRADING;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void greet(Client *c, int index) {
    char text[2 * TOKEN_MAX + 192];
    if (!tokens) {
        c->state = PLAYING;
        return;
    }
    if (resuming && c->resume[0])
        snprintf(text, sizeof text, "{\"t\":\"hello\",\"token\":\"%s\",\"resume\":\"%s\",\"last_s\":%llu,\"client\":\"load\"}", tokens[index],
                 c->resume, (unsigned long long)c->acknowledged);
    else snprintf(text, sizeof text, "{\"t\":\"hello\",\"token\":\"%s\",\"client\":\"load\"}", tokens[index]);
    c->state = GREETING;
    say(c, text);
}

static void queue(Client *c, int index) {
    char text[128];
    snprintf(text, sizeof text, "{\"t\":\"queue\",\"n\":%llu,\"mode\":\"%s\"}", (unsigned long long)++c->number,
             modes[index % mode_count]);
    c->state = QUEUED;
    say(c, text);
}

static void join(Client *c) {
    char text[TOKEN_MAX + 256];
    snprintf(text, sizeof text, "{\"t\":\"join\",\"n\":%llu,\"match\":\"%s\",\"match_token\":\"%s\"}",
             (unsigned long long)++c->number, c->match, c->match_token);
    c->match[0] = 0;
    c->state = JOINING;
    say(c, text);
}

static void found(Client *c, int index, const char *text, size_t size) {
    char url[256];
    if (!json_value(text, size, "match", c->match, sizeof c->match) ||
        !json_value(text, size, "match_token", c->match_token, sizeof c->match_token) ||
        !json_value(text, size, "url", url, sizeof url)) {
        leave(c, "match_found without its fields");
        return;
    }
    const char *colon = strrchr(url, ':');
    int port = colon ? atoi(colon + 1) : 0;
    if (port > 0 && port < 65536 && port != c->port) { /* another process of the region hosts it */
        leave(c, NULL);
        moved++;
        c->port = (uint16_t)port;
        open_socket(c, index);
    } else {
        join(c);
    }
}

static void hear(Client *c, int index, const char *text, size_t size) {
    char kind[32], value[32];
    if (!json_value(text, size, "t", kind, sizeof kind)) {
        trouble("no message", text, size);
        return;
    }
    if (json_value(text, size, "s", value, sizeof value)) {
        uint64_t s = strtoull(value, NULL, 10);
        if (resuming && s <= c->acknowledged) return; /* sent again after a resume */
        if (resuming && s != c->acknowledged + 1) holes++, trouble("a critical message is missing before", text, size);
        c->acknowledged = s;
        snprintf(value, sizeof value, "{\"t\":\"ack\",\"s\":%llu}", (unsigned long long)c->acknowledged % 1000000000000ULL);
        say(c, value);
        if (c->fd < 0) return;
    }
    if (!strcmp(kind, "welcome") && c->state == GREETING) {
        int went_on = json_value(text, size, "resumed", value, sizeof value) && !strcmp(value, "true");
        if (resuming && !json_value(text, size, "resume_token", c->resume, sizeof c->resume)) c->resume[0] = 0;
        if (!went_on) c->acknowledged = c->number = 0;
        if (json_value(text, size, "received", value, sizeof value)) c->number = strtoull(value, NULL, 10);
        if (c->lost_us && !went_on) forgotten++, c->lost_us = 0;
        if (c->match[0]) join(c);
        else if (c->lost_us) c->state = QUEUED; /* it is told where its match is */
        else queue(c, index);
    } else if (!strcmp(kind, "match_found")) {
        found(c, index, text, size);
    } else if (!strcmp(kind, "match_started")) {
        if (json_value(text, size, "tick", value, sizeof value)) c->seen_tick = (uint32_t)strtoull(value, NULL, 10);
        c->state = PLAYING;
        c->resumable = 1;
    } else if (!strcmp(kind, "match_ended") || !strcmp(kind, "match_lost") || !strcmp(kind, "dequeued")) {
        queue(c, index);
    } else if (!strcmp(kind, "fallback")) {
        char url[256];
        const char *colon = json_value(text, size, "url", url, sizeof url) ? strrchr(url, ':') : NULL;
        c->fallback = (uint16_t)(colon ? atoi(colon + 1) : 0);
    } else if (!strcmp(kind, "refused")) {
        refused++;
        trouble("refused", text, size);
    }
}

static void snapshot(Client *c, const uint8_t *p, size_t size, int64_t now) {
    if (size < HEADER_SIZE || p[0] != SNAPSHOT) {
        trouble("no snapshot", "", 0);
        return;
    }
    c->seen_tick = read32(p + 4);
    if (c->lost_us && c->state == PLAYING) {
        if (back_count < count) back_ms[back_count++] = (double)(now - c->lost_us) / 1000.0;
        c->lost_us = 0;
    }
    uint32_t processed = read32(p + 8);
    if (measuring) {
        frames_in++;
        bytes_in += size;
        if (c->last_us) histogram_add(&gaps, now - c->last_us);
        if (processed != c->processed && processed <= c->sequence && c->sequence - processed < RING)
            histogram_add(&input_to_snapshot, now - c->sent_us[processed % RING]);
    }
    c->processed = processed;
    c->last_us = now;
}

static void readable(Client *c, int index) {
    ssize_t got = recv(c->fd, c->buffer + c->have, BUFFER - c->have, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        leave(c, got == 0 ? "the server closed" : strerror(errno));
        return;
    }
    c->have += (size_t)got;
    if (c->state == UPGRADING) {
        uint8_t *end = memmem(c->buffer, c->have, "\r\n\r\n", 4);
        if (!end) {
            if (c->have == BUFFER) leave(c, "an endless answer");
            return;
        }
        if (memcmp(c->buffer, "HTTP/1.1 101", 12)) {
            trouble("no upgrade", (char *)c->buffer, c->have);
            leave(c, "no upgrade");
            return;
        }
        size_t used = (size_t)(end + 4 - c->buffer);
        memmove(c->buffer, c->buffer + used, c->have - used);
        c->have -= used;
        greet(c, index);
    }
    size_t at = 0;
    int64_t now = now_us();
    unsigned opened = c->opened;
    while (c->opened == opened && c->fd >= 0) { /* a message may end this connection or open another one */
        int opcode;
        const uint8_t *payload, *mask;
        size_t size;
        int64_t used = frame_at(c->buffer + at, c->have - at, BUFFER - 16, &opcode, &payload, &size, &mask);
        if (used < 0) {
            leave(c, "a frame that is too large");
            return;
        }
        if (used == 0) break;
        at += (size_t)used;
        if (opcode == OP_BINARY) {
            snapshot(c, payload, size, now);
        } else if (opcode == OP_TEXT) {
            hear(c, index, (const char *)payload, size);
        } else if (opcode == OP_PING) {
            if (send_frame(c, OP_PONG, payload, size) < 0) leave(c, "a pong was cut");
        } else if (opcode == OP_CLOSE) {
            trouble("closed", (const char *)payload + (size > 2 ? 2 : 0), size > 2 ? size - 2 : 0);
            leave(c, "the server closed");
        }
    }
    if (c->opened == opened && c->fd >= 0) {
        memmove(c->buffer, c->buffer + at, c->have - at);
        c->have -= at;
    }
}

/* ------------------------------------------------------------------------------------------------------------------- main */

static volatile sig_atomic_t enough;

static void stop(int number) {
    (void)number;
    enough = 1;
}

static int number_list(char *text, uint16_t *out, int room) {
    int n = 0;
    for (char *part = strtok(text, ","); part && n < room; part = strtok(NULL, ",")) out[n++] = (uint16_t)atoi(part);
    return n;
}

static void read_tokens(const char *path) {
    FILE *file = fopen(path, "r");
    char line[TOKEN_MAX + 2];
    int n = 0;
    tokens = calloc((size_t)count, sizeof *tokens);
    while (file && n < count && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (line[0]) tokens[n++] = strdup(line);
    }
    if (file) fclose(file);
    if (n < count) {
        fprintf(stderr, "load: %s holds %d tokens, %d are needed\n", path, n, count);
        exit(2);
    }
}

static int playing(void) {
    int n = 0;
    for (int i = 0; i < count; i++) n += clients[i]->state == PLAYING;
    return n;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double back(double quantile) { /* nearest rank */
    if (!back_count) return 0;
    int at = (int)(quantile * back_count);
    return back_ms[at < back_count ? at : back_count - 1];
}

static void print_figures(double seconds) {
    qsort(back_ms, (size_t)back_count, sizeof *back_ms, by_size);
    printf("{\"clients\": %d, \"playing\": %d, \"seconds\": %.3f, \"commands_sent\": %llu, \"commands_skipped\": %llu, "
           "\"frames\": %llu, \"bytes\": %llu, \"gap_ms_p50\": %.3f, \"gap_ms_p99\": %.3f, \"gap_ms_max\": %.3f, "
           "\"input_to_snapshot_ms_p50\": %.3f, \"input_to_snapshot_ms_p99\": %.3f, \"send_late_ms_p99\": %.3f, "
           "\"lost\": %llu, \"back\": %d, \"back_ms_p50\": %.3f, \"back_ms_p99\": %.3f, \"back_ms_max\": %.3f, \"forgotten\": %llu, \"holes\": %llu, "
           "\"died\": %llu, \"refused\": %llu, \"moved\": %llu, \"trouble\": \"%s\"}\n",
           count, playing(), seconds, (unsigned long long)commands_out, (unsigned long long)commands_skipped,
           (unsigned long long)frames_in, (unsigned long long)bytes_in, histogram_ms(&gaps, 0.5), histogram_ms(&gaps, 0.99),
           (double)gaps.longest_us / 1000.0, histogram_ms(&input_to_snapshot, 0.5), histogram_ms(&input_to_snapshot, 0.99),
           histogram_ms(&send_late, 0.99), (unsigned long long)lost, back_count, back(0.5), back(0.99), back(1.0),
           (unsigned long long)forgotten, (unsigned long long)holes, (unsigned long long)died, (unsigned long long)refused, (unsigned long long)moved,
           first_trouble);
    fflush(stdout);
}

int main(int argc, char **argv) {
    double seconds = 5, ramp = 2000, patience = 20;
    int first = 0;
    const char *token_file = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--ports")) port_count = number_list(argv[i + 1], ports, PORTS_MAX);
        else if (!strcmp(argv[i], "--clients")) count = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--seconds")) seconds = atof(argv[i + 1]);
        else if (!strcmp(argv[i], "--ramp")) ramp = atof(argv[i + 1]);
        else if (!strcmp(argv[i], "--patience")) patience = atof(argv[i + 1]);
        else if (!strcmp(argv[i], "--resume")) resuming = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--first")) first = atoi(argv[i + 1]); /* only these ports are there at the start */
        else if (!strcmp(argv[i], "--tokens")) token_file = argv[i + 1];
        else if (!strcmp(argv[i], "--modes"))
            for (char *part = strtok(argv[i + 1], ","); part && mode_count < MODES_MAX; part = strtok(NULL, ","))
                modes[mode_count++] = part;
    }
    if (!port_count || count < 1 || count > CLIENTS_MAX || seconds <= 0 || seconds > 600 || ramp <= 0 || patience > 600 ||
        (token_file && !mode_count)) {
        fprintf(stderr, "usage: load --ports P[,P] --clients N --seconds S [--tokens FILE --modes a,b] [--ramp PER_S]\n");
        return 2;
    }
    many_files();
    signal(SIGTERM, stop); /* ends the measurement, with its figures */
    if (token_file) read_tokens(token_file);
    clients = calloc((size_t)count, sizeof *clients);
    back_ms = calloc((size_t)count, sizeof *back_ms);
    for (int i = 0; i < count; i++) {
        clients[i] = calloc(1, sizeof **clients);
        clients[i]->fd = -1;
        clients[i]->port = ports[i % (first > 0 && first < port_count ? first : port_count)];
    }
    poll_fd = epoll_create1(0);
    struct epoll_event events[1024];
    started_us = now_us();
    int64_t begin = 0, end = 0, sent = 0; /* commands that were due, one after the other through all clients */
    int64_t give_up = started_us + (int64_t)((patience + count / ramp) * 1e6);
    int opened = 0;
    for (;;) {
        int64_t now = now_us();
        while (opened < count && opened < (now - started_us) * ramp / 1e6) {
            open_socket(clients[opened], opened);
            opened++;
        }
        int64_t due = (int64_t)((double)(now - started_us) * count / PERIOD_US);
        for (; sent < due; sent++) {
            Client *c = clients[sent % count];
            if (c->state == PLAYING) {
                if (measuring) histogram_add(&send_late, now - started_us - sent * PERIOD_US / count);
                send_command(c, (int)(sent % count), now);
            }
        }
        if (!measuring && opened == count && (now >= give_up || playing() + (int)died == count)) {
            if (!begin) begin = now + 1000000; /* a second to settle */
            if (now >= begin) {
                printf("{\"steady\": %d}\n", playing());
                fflush(stdout);
                measuring = 1;
                begin = now;
                end = now + (int64_t)(seconds * 1e6);
            }
        }
        if (measuring && (now >= end || enough)) break;
        for (int i = 0; resuming && i < opened; i++)
            if (clients[i]->state == RETRYING && now >= clients[i]->retry_us) open_socket(clients[i], i);
        int got = epoll_wait(poll_fd, events, 1024, 1);
        for (int i = 0; i < got; i++) {
            int index = (int)events[i].data.u32;
            Client *c = clients[index];
            if (c->state == CONNECTING) ask_upgrade(c, index);
            else if (c->fd >= 0) readable(c, index);
        }
    }
    print_figures((double)(now_us() - begin) / 1e6);
    for (int i = 0; i < count; i++) leave(clients[i], NULL);
    return 0;
}
