/* SPDX-License-Identifier: MIT */
/*
 * meter.h - what a program counts, from when to when, and the line it reports that with.
 *
 * The first datagram starts the warm-up. When that is over the meter remembers clocks and counts,
 * and again at the end: the result is the difference.
 */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/* Since the program began. */
struct counts {
    uint64_t datagrams;
    uint64_t bytes;
    uint64_t rx_calls; /* ours: calls into Go to receive; plain: recvmmsg */
    uint64_t tx_calls; /* ours: calls into Go to send; plain: sendmsg and sendmmsg */
    uint64_t lost;     /* neither delivered nor given to the kernel, as far as it is known here */
    uint64_t allocations; /* ours: of C memory, by the whole process */
    uint64_t callback_ns; /* ours: in the receive callback, if things are counted */
    uint64_t by_kernel;   /* of AF_XDP programs: datagrams that came by the kernel's sockets */
};

/* Nanoseconds, mostly. */
struct clocks {
    uint64_t wall;
    uint64_t process;      /* CPU time, user and system, of all threads */
    uint64_t thread;       /* of the calling one */
    uint64_t system_calls; /* of the calling thread, if they are counted */
};

enum meter_phase { METER_IDLE, METER_WARM_UP, METER_MEASURING, METER_OVER };

struct meter {
    struct counts now;                   /* kept up to date by the job */
    void (*refresh)(struct counts *now); /* completes `now` before it is read; may be NULL */
    const struct options *options;
    enum meter_phase phase;
    uint64_t deadline; /* of the phase, on the coarse clock */
    int system_calls;  /* a descriptor that counts them; -1: none */
    struct counts counts_before, counts_after;
    struct clocks clocks_before, clocks_after;
};

void meter_init(struct meter *m, const struct options *o);

/* Once in every pass of the job's loop. FALSE when the time is over, or stop_wanted. */
bool meter_goes_on(struct meter *m);

/* Round trips, of a program that measures them. */
struct trips {
    uint64_t count;
    uint64_t p50_ns;
    uint64_t p99_ns;
};

/* "ready PORT" on stdout: the other side may begin. */
void report_ready(unsigned port);

/* If the options want it: says that all is open, and waits until all others are. */
void hold(const struct options *o);

/* The last line on stdout, a JSON object. trips may be NULL. */
void report_result(const struct meter *m, const struct trips *trips);

#endif
