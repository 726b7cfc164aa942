/* SPDX-License-Identifier: MIT */
/* report.h - what the server counts, and its line of JSON. */
#ifndef DEMO_REPORT_H
#define DEMO_REPORT_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum count {
    COUNT_CONNECTIONS,  /* begun */
    COUNT_HANDSHAKES,   /* completed */
    COUNT_LIVE,         /* connections that exist now, closing ones too */
    COUNT_STREAMS,      /* answered in full */
    COUNT_BYTES,        /* of payload received, and found right */
    COUNT_MISMATCHES,   /* streams with a wrong byte, or a wrong request */
    COUNT_MIGRATIONS,   /* changes of a connection's path */
    COUNT_KEY_UPDATES,  /* that the server has begun */
    COUNT_HANDED_OVER,  /* datagrams that came in on another worker than their connection's */
    COUNT_NEGOTIATIONS, /* version negotiation packets sent */
    COUNT_RESETS,       /* stateless resets sent */
    COUNT_STRAYS,       /* datagrams that belong to nobody */
    COUNT_MISROUTED,    /* datagrams that carry another server's identifier */
    COUNTS
};

/* One for each worker, which alone writes to it. */
struct counts {
    _Atomic uint64_t n[COUNTS];
};

static inline void count_add(struct counts *counts, enum count which, int64_t n)
{
    uint64_t now = atomic_load_explicit(&counts->n[which], memory_order_relaxed);
    atomic_store_explicit(&counts->n[which], now + (uint64_t)n, memory_order_relaxed);
}

struct server;

/* One line: who the server is, the sums of its counts, and the counters of the datapath. */
void report_print(FILE *out, const struct server *server);

#endif
