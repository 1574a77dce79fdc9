/* What the load generator and the baseline server share: clocks, histograms, sockets. Linux only (epoll). */
#ifndef GAMEEDGE_BENCH_COMMON_H
#define GAMEEDGE_BENCH_COMMON_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SUBPROTOCOL "gameedge.v1"
#define COMMAND 1
#define SNAPSHOT 2
#define HEADER_SIZE 16
#define COMMAND_SIZE 40 /* 16 of header, 24 of payload */
#define OP_TEXT 1
#define OP_BINARY 2
#define OP_CLOSE 8
#define OP_PING 9
#define OP_PONG 10

static inline int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Times in steps of 0.05 ms up to 500 ms; what is longer counts as 500. */
#define BINS 10000
#define BIN_US 50
typedef struct {
    uint64_t bins[BINS];
    uint64_t count;
    int64_t longest_us;
} Histogram;

static inline void histogram_add(Histogram *h, int64_t us) {
    if (us < 0) us = 0;
    int64_t bin = us / BIN_US;
    h->bins[bin < BINS ? bin : BINS - 1]++;
    h->count++;
    if (us > h->longest_us) h->longest_us = us;
}

static inline double histogram_ms(const Histogram *h, double quantile) {
    uint64_t rank = (uint64_t)(quantile * (double)h->count), seen = 0;
    for (int i = 0; i < BINS; i++) {
        seen += h->bins[i];
        if (seen > rank) return (i + 0.5) * BIN_US / 1000.0;
    }
    return 0.0;
}

static inline uint32_t read32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void write32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)v, p[1] = (uint8_t)(v >> 8), p[2] = (uint8_t)(v >> 16), p[3] = (uint8_t)(v >> 24);
}

static inline void write16(uint8_t *p, int v) { p[0] = (uint8_t)v, p[1] = (uint8_t)((unsigned)v >> 8); }

static inline void many_files(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static inline void no_delay(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* One frame at the start of `p`. Returns its whole size, 0 where more bytes are needed, -1 where it is over `max`. */
static inline int64_t frame_at(const uint8_t *p, size_t have, size_t max, int *opcode, const uint8_t **payload,
                               size_t *size, const uint8_t **mask) {
    if (have < 2) return 0;
    size_t header = 2, length = p[1] & 127;
    if (length == 126) {
        if (have < 4) return 0;
        length = (size_t)p[2] << 8 | p[3];
        header = 4;
    } else if (length == 127) {
        return -1;
    }
    *mask = NULL;
    if (p[1] & 128) {
        *mask = p + header;
        header += 4;
    }
    if (length > max) return -1;
    if (have < header + length) return 0;
    *opcode = p[0] & 15;
    *payload = p + header;
    *size = length;
    return (int64_t)(header + length);
}

#endif
