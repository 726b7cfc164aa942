/* SPDX-License-Identifier: MIT */
/* worker.h - one worker of a pool: its event queue and execution contexts. Used by pool.c alone. */
#ifndef HOST_WORKER_H
#define HOST_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "host/pool.h"

struct worker {
    CXPLAT_EVENTQ queue;
    CXPLAT_SQE wake; /* only to make epoll_wait return */
    uint16_t processor;
    CXPLAT_EXECUTION_STATE state;
    struct epoll_event batch[HOST_BATCH];
    int harvested; /* events of batch that wait for their completion */
    _Atomic uint64_t completions;
    _Atomic uint64_t rounds;
    _Atomic bool stop;
    bool has_thread;
    pthread_t thread;
    pthread_mutex_t lock;
    CXPLAT_SLIST_ENTRY *arriving; /* execution contexts, under lock */
    CXPLAT_SLIST_ENTRY *contexts; /* the worker's own */
    _Atomic int staying;          /* contexts that have run, and want to again */
    pthread_cond_t came_round;    /* under lock */
};

bool worker_init(struct worker *w, uint16_t processor);
void worker_destroy(struct worker *w);

bool worker_start(struct worker *w);
void worker_stop(struct worker *w);
void worker_wake(struct worker *w);

void worker_add_context(struct worker *w, CXPLAT_EXECUTION_CONTEXT *context);

/* Runs what is due, and returns how long epoll may wait: milliseconds, -1 for ever. */
int worker_run_contexts(struct worker *w);

int worker_harvest(struct worker *w, int timeout_ms);
int worker_dispatch(struct worker *w);

#endif
