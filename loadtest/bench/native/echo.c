/* The baseline: what one core can do with this traffic when nothing but sockets is left of a game server.
 *
 * Accepts WebSocket upgrades, reads masked 40-byte commands, and sends each connection that plays a state frame 20 times a
 * second, a third of them in each tick of 60 Hz, as the edge process does. A tick that begins late is counted as late.
 *
 * Usage: echo STATE_BYTES. Prints {"port": N}; SIGUSR1 begins a window, SIGUSR2 ends it and prints its figures; SIGTERM ends.
 */
#include "common.h"

#define CONNECTIONS 16384
#define BUFFER 2048
#define TICK_US (1000000 / 60)
#define FRAME_MAX 4096

typedef struct {
    int fd;
    int open, playing;
    size_t have;
    uint32_t sequence;
    uint8_t buffer[BUFFER];
} Connection;

static Connection *connections[CONNECTIONS]; /* by file descriptor */
static int highest;
static Histogram late;
static uint64_t commands, states, skipped, ticks;
static volatile sig_atomic_t begin_window, end_window, stop;

static void on_signal(int sign) {
    if (sign == SIGUSR1) begin_window = 1;
    else if (sign == SIGUSR2) end_window = 1;
    else stop = 1;
}

/* ------------------------------------------------------------------------------------------ SHA-1 (RFC 3174) and base 64 */

static uint32_t rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void sha1(const uint8_t *data, size_t size, uint8_t out[20]) { /* up to 119 bytes: two blocks */
    uint8_t blocks[128] = {0};
    size_t count = size + 9 > 64 ? 2 : 1;
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    memcpy(blocks, data, size);
    blocks[size] = 0x80;
    for (int i = 0; i < 8; i++) blocks[count * 64 - 1 - i] = (uint8_t)((uint64_t)size * 8 >> (8 * i));
    for (size_t b = 0; b < count; b++) {
        uint32_t w[80], a = h[0], c1 = h[1], c = h[2], d = h[3], e = h[4];
        const uint8_t *p = blocks + b * 64;
        for (int t = 0; t < 80; t++)
            w[t] = t < 16 ? (uint32_t)p[4 * t] << 24 | (uint32_t)p[4 * t + 1] << 16 | (uint32_t)p[4 * t + 2] << 8 | p[4 * t + 3]
                          : rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
        for (int t = 0; t < 80; t++) {
            uint32_t f, k;
            if (t < 20) f = (c1 & c) | (~c1 & d), k = 0x5A827999;
            else if (t < 40) f = c1 ^ c ^ d, k = 0x6ED9EBA1;
            else if (t < 60) f = (c1 & c) | (c1 & d) | (c & d), k = 0x8F1BBCDC;
            else f = c1 ^ c ^ d, k = 0xCA62C1D6;
            uint32_t next = rotate(a, 5) + f + e + k + w[t];
            e = d, d = c, c = rotate(c1, 30), c1 = a, a = next;
        }
        h[0] += a, h[1] += c1, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++) out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const uint8_t *in, size_t size, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < size ? (uint32_t)in[i + 1] << 8 : 0) | (i + 2 < size ? in[i + 2] : 0);
        *out++ = digits[v >> 18];
        *out++ = digits[v >> 12 & 63];
        *out++ = i + 1 < size ? digits[v >> 6 & 63] : '=';
        *out++ = i + 2 < size ? digits[v & 63] : '=';
    }
    *out = 0;
}

/* --------------------------------------------------------------------------------------------------------- connections */

static void drop(Connection *c) {
    close(c->fd);
    connections[c->fd] = NULL;
    free(c);
}

static int upgrade(Connection *c) { /* 1: done, 0: more is needed, -1: no upgrade */
    c->buffer[c->have < BUFFER ? c->have : BUFFER - 1] = 0;
    char *text = (char *)c->buffer, *end = strstr(text, "\r\n\r\n"), *key = strcasestr(text, "\r\nSec-WebSocket-Key:");
    if (!end) return c->have < BUFFER - 1 ? 0 : -1;
    if (!key) return -1;
    key += 20;
    while (*key == ' ') key++;
    char *key_end = strstr(key, "\r\n");
    if (!key_end || key_end - key > 64) return -1;
    char joined[128], accept[32], answer[256];
    uint8_t digest[20];
    int size = snprintf(joined, sizeof joined, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)(key_end - key), key);
    sha1((const uint8_t *)joined, (size_t)size, digest);
    base64(digest, 20, accept);
    size = snprintf(answer, sizeof answer,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: " SUBPROTOCOL "\r\n\r\n",
                    accept);
    if (send(c->fd, answer, (size_t)size, MSG_NOSIGNAL) != size) return -1;
    size_t used = (size_t)(end + 4 - text);
    memmove(c->buffer, c->buffer + used, c->have - used);
    c->have -= used;
    c->open = 1;
    return 1;
}

static int frames(Connection *c) { /* -1: the connection is over */
    size_t at = 0;
    for (;;) {
        int opcode;
        const uint8_t *payload, *mask;
        size_t size;
        int64_t used = frame_at(c->buffer + at, c->have - at, BUFFER - 16, &opcode, &payload, &size, &mask);
        if (used < 0) return -1;
        if (used == 0) break;
        if (!mask || opcode == OP_CLOSE) return -1;
        if (opcode == OP_BINARY && size == COMMAND_SIZE) {
            uint8_t frame[COMMAND_SIZE];
            for (size_t i = 0; i < COMMAND_SIZE; i++) frame[i] = payload[i] ^ mask[i & 3];
            if (frame[0] != COMMAND) return -1;
            c->sequence = read32(frame + 4);
            c->playing = 1;
            commands++;
        }
        at += (size_t)used;
    }
    memmove(c->buffer, c->buffer + at, c->have - at);
    c->have -= at;
    return 0;
}

static void readable(Connection *c) {
    for (;;) {
        size_t room = BUFFER - 1 - c->have;
        ssize_t got = recv(c->fd, c->buffer + c->have, room, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) {
            drop(c);
            return;
        }
        c->have += (size_t)got;
        if (!c->open && upgrade(c) < 0) {
            drop(c);
            return;
        }
        if (c->open && frames(c) < 0) {
            drop(c);
            return;
        }
        if ((size_t)got < room) return;
    }
}

static void accept_all(int listener, int poll) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) return;
        Connection *c = fd < CONNECTIONS ? calloc(1, sizeof *c) : NULL;
        if (!c) {
            close(fd);
            continue;
        }
        c->fd = fd;
        no_delay(fd);
        connections[fd] = c;
        if (fd > highest) highest = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
    }
}

static void tick(uint8_t *frame, size_t size, size_t header) {
    ticks++;
    write32(frame + header + 4, (uint32_t)ticks);
    for (int fd = (int)(ticks % 3); fd <= highest; fd += 3) {
        Connection *c = connections[fd];
        if (!c || !c->playing) continue;
        write32(frame + header + 8, c->sequence);
        if (send(fd, frame, size, MSG_NOSIGNAL) == (ssize_t)size) states++;
        else skipped++;
    }
}

int main(int argc, char **argv) {
    size_t state = argc > 1 ? (size_t)atoi(argv[1]) : 152, header = state < 126 ? 2 : 4;
    if (state < HEADER_SIZE || state > FRAME_MAX) return 2;
    many_files();
    struct sigaction action = {.sa_handler = on_signal};
    int signals[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
    for (int i = 0; i < 4; i++) sigaction(signals[i], &action, NULL);

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("listen");
        return 1;
    }
    getsockname(listener, (struct sockaddr *)&address, &length);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[1024];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    printf("{\"port\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);

    uint8_t frame[FRAME_MAX + 4] = {0x80 | OP_BINARY};
    if (header == 2) frame[1] = (uint8_t)state;
    else frame[1] = 126, frame[2] = (uint8_t)(state >> 8), frame[3] = (uint8_t)state;
    frame[header] = SNAPSHOT;
    write16(frame + header + 2, (int)(state - HEADER_SIZE));

    int64_t due = now_us() + TICK_US;
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec period = {.it_interval.tv_nsec = TICK_US * 1000};
    period.it_value.tv_sec = due / 1000000, period.it_value.tv_nsec = due % 1000000 * 1000;
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &period, NULL);
    struct epoll_event timing = {.events = EPOLLIN, .data.fd = timer};
    epoll_ctl(poll, EPOLL_CTL_ADD, timer, &timing);
    while (!stop) {
        if (begin_window) {
            begin_window = 0;
            memset(&late, 0, sizeof late);
            commands = states = skipped = 0;
        }
        if (end_window) {
            end_window = 0;
            printf("{\"ticks\": %llu, \"late_ms_p50\": %.3f, \"late_ms_p99\": %.3f, \"late_ms_max\": %.3f, \"commands\": %llu, "
                   "\"states\": %llu, \"skipped\": %llu}\n",
                   (unsigned long long)late.count, histogram_ms(&late, 0.5), histogram_ms(&late, 0.99),
                   (double)late.longest_us / 1000.0, (unsigned long long)commands, (unsigned long long)states,
                   (unsigned long long)skipped);
            fflush(stdout);
        }
        int count = epoll_wait(poll, events, 1024, now_us() >= due ? 0 : -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_all(listener, poll);
            } else if (fd == timer) {
                uint64_t expired;
                if (read(timer, &expired, sizeof expired) < 0 && errno != EAGAIN) return 1;
            } else if (connections[fd]) {
                readable(connections[fd]);
            }
        }
        int64_t now = now_us();
        if (now >= due) {
            histogram_add(&late, now - due);
            tick(frame, header + state, header);
            due += TICK_US;
        }
    }
    return 0;
}
