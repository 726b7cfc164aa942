/* SPDX-License-Identifier: MIT */
/* chain.h - a chain of received datagrams that grows at its end. */
#ifndef DEMO_CHAIN_H
#define DEMO_CHAIN_H

#include <stddef.h>

#include "msquicxdp/cxplat.h"

struct chain {
    CXPLAT_RECV_DATA *first;
    CXPLAT_RECV_DATA **last;
};

static inline void chain_init(struct chain *c)
{
    c->first = NULL;
    c->last = &c->first;
}

static inline void chain_add(struct chain *c, CXPLAT_RECV_DATA *data)
{
    data->Next = NULL;
    *c->last = data;
    c->last = &data->Next;
}

/* Moves all of `from` behind what is in c. */
static inline void chain_join(struct chain *c, struct chain *from)
{
    if (from->first != NULL) {
        *c->last = from->first;
        c->last = from->last;
        chain_init(from);
    }
}

/* Takes all, as a chain that ends with NULL. */
static inline CXPLAT_RECV_DATA *chain_take(struct chain *c)
{
    CXPLAT_RECV_DATA *first = c->first;
    chain_init(c);
    return first;
}

#endif
