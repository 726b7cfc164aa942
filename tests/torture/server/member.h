/* SPDX-License-Identifier: MIT */
/* member.h - a datapath with some sockets on one port, each with an identifier of its own. */
#ifndef TORTURE_MEMBER_H
#define TORTURE_MEMBER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "datagram.h"
#include "msquicxdp/cxplat.h"

enum { MAX_CLAIMS = 8 };

/* A socket, which answers questions for its identifier. */
struct claim {
    uint8_t identifier[IDENTIFIER_LENGTH];
    bool plain; /* no identifier: the port is its own */
    CXPLAT_SOCKET *socket;
    struct member *member;
};

struct member {
    uint16_t port; /* of [::], both families */
    uint16_t workers;
    bool xdp; /* its sockets ask for AF_XDP */
    uint32_t process;
    CXPLAT_WORKER_POOL *pool;
    CXPLAT_DATAPATH *datapath;
    struct claim claims[MAX_CLAIMS]; /* those with a socket are taken */
    _Atomic uint64_t answered;
    _Atomic uint64_t strays;    /* that are no questions */
    _Atomic uint64_t misrouted; /* questions for another identifier */
};

/* Both return NULL, or why it is refused: valid until the next call. */
const char *member_open(struct member *m);
const char *member_claim(struct member *m, const uint8_t *identifier);

/* FALSE if it has no such claim. */
bool member_release(struct member *m, const uint8_t *identifier);

/* Whether some socket receives by AF_XDP. */
bool member_has_xdp(const struct member *m);

/* Releases all, and gives the datapath back. May be called twice. */
void member_close(struct member *m);

#endif
