/* SPDX-License-Identifier: MIT */
/* reader.h - recvmmsg with buffers that take coalesced messages, and their datagrams one by one. */
#ifndef BENCH_READER_H
#define BENCH_READER_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    READER_BATCH = 16,     /* messages asked of one recvmmsg */
    READER_BUFFER = 65536, /* the longest message */
    READER_CONTROL = 128
};

/* What the control messages of one message say, and where it came from. */
struct origin {
    struct sockaddr_in from;
    struct in_addr to;
    int interface;
    uint8_t tos;
    uint8_t ttl;
    uint32_t segment; /* bytes of every datagram but the last */
};

/* Borrowed for the call that it is given to. */
struct datagram {
    uint8_t *data;
    uint32_t length;
    const struct origin *origin;
};

typedef void datagram_fn(void *context, const struct datagram *d);

struct reader {
    struct mmsghdr message[READER_BATCH];
    struct iovec iov[READER_BATCH];
    struct sockaddr_in from[READER_BATCH];
    uint8_t control[READER_BATCH][READER_CONTROL] __attribute__((aligned(8)));
    uint8_t *buffer; /* READER_BATCH times READER_BUFFER bytes */
};

void reader_init(struct reader *r);
void reader_free(struct reader *r);

/* Reads what is there: the number of messages, 0 if none. Errors of earlier sends are none. */
int reader_read(struct reader *r, int fd);

/* What message i says about itself. */
void reader_origin(const struct reader *r, int i, struct origin *origin);

/* Calls fn for each datagram of message i. */
void reader_deliver(const struct reader *r, int i, datagram_fn *fn, void *context);

#endif
