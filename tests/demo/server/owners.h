/* SPDX-License-Identifier: MIT */
/*
 * owners.h - which worker has begun which handshake.
 *
 * Later a connection ID says itself whose it is. A client's first one is random, and the datagrams
 * of one handshake may come in on several workers (the kernel steers them by processor): the worker
 * that the first datagram names owns the connection. This is the only state that workers share,
 * under one lock that packets with a long header take.
 */
#ifndef DEMO_OWNERS_H
#define DEMO_OWNERS_H

#include <pthread.h>

#include "table.h"

struct partition;

struct owners {
    pthread_mutex_t lock;
    struct table table; /* of partitions */
};

void owners_init(struct owners *o);
void owners_destroy(struct owners *o);

/* Who owns the handshake with this ID: p, from now on, if nobody has before. */
struct partition *owners_claim(struct owners *o, const ngtcp2_cid *cid, struct partition *p);

void owners_release(struct owners *o, const ngtcp2_cid *cid);

#endif
