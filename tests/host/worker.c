/* SPDX-License-Identifier: MIT */
/* worker.c - fetches events, runs completions and execution contexts. */
#define _GNU_SOURCE
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/order.h"
#include "host/wait.h"

static void woken(CXPLAT_CQE *event);

bool worker_init(struct worker *w, uint16_t processor)
{
    memset(w, 0, sizeof(*w));
    pthread_mutex_init(&w->lock, NULL);
    host_cond_init(&w->came_round);
    w->processor = processor;
    w->state.WaitTime = UINT32_MAX;
    w->wake.Completion = woken;
    w->queue = epoll_create1(EPOLL_CLOEXEC);
    w->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = &w->wake};
    return w->queue >= 0 && w->wake.fd >= 0 &&
           epoll_ctl(w->queue, EPOLL_CTL_ADD, w->wake.fd, &event) == 0;
}

void worker_destroy(struct worker *w)
{
    close(w->wake.fd);
    close(w->queue);
    pthread_cond_destroy(&w->came_round);
    pthread_mutex_destroy(&w->lock);
}

void worker_wake(struct worker *w)
{
    if (write(w->wake.fd, &(uint64_t){1}, sizeof(uint64_t)) < 0) {
        abort(); /* only a counter that is full would refuse */
    }
}

/* ---- execution contexts ---- */

static CXPLAT_EXECUTION_CONTEXT *context_of(CXPLAT_SLIST_ENTRY *entry)
{
    return (CXPLAT_EXECUTION_CONTEXT *)((char *)entry - offsetof(CXPLAT_EXECUTION_CONTEXT, Entry));
}

void worker_add_context(struct worker *w, CXPLAT_EXECUTION_CONTEXT *context)
{
    context->CxPlatContext = NULL;
    pthread_mutex_lock(&w->lock);
    context->Entry.Next = w->arriving;
    w->arriving = &context->Entry;
    pthread_mutex_unlock(&w->lock);
    worker_wake(w);
}

/* The latest is the first to be run. */
static void woken(CXPLAT_CQE *event)
{
    struct worker *w = (struct worker *)((char *)event->data.ptr - offsetof(struct worker, wake));
    pthread_mutex_lock(&w->lock);
    CXPLAT_SLIST_ENTRY **tail = &w->arriving;
    while (*tail != NULL) {
        tail = &(*tail)->Next;
    }
    *tail = w->contexts;
    w->contexts = w->arriving;
    w->arriving = NULL;
    pthread_mutex_unlock(&w->lock);
}

/* FALSE when the context wants to be unlinked; then its memory is no longer ours to read. */
static bool run_context(struct worker *w, CXPLAT_EXECUTION_CONTEXT *context)
{
    bool ready = __atomic_exchange_n(&context->Ready, FALSE, __ATOMIC_ACQ_REL);
    if (!ready && context->NextTimeUs > w->state.TimeNow) {
        return true;
    }
    bool stayed = context->CxPlatContext != NULL;
    bool stays = context->Callback(context->Context, &w->state);
    if (stays) {
        context->CxPlatContext = w;
    }
    atomic_fetch_add(&w->staying, (int)stays - (int)stayed);
    return stays;
}

static void run_contexts(struct worker *w)
{
    uint64_t next_time = UINT64_MAX;
    w->state.TimeNow = host_now_us();
    for (CXPLAT_SLIST_ENTRY **link = &w->contexts; *link != NULL;) {
        CXPLAT_EXECUTION_CONTEXT *context = context_of(*link);
        CXPLAT_SLIST_ENTRY *next = context->Entry.Next;
        if (!run_context(w, context)) {
            *link = next;
            continue;
        }
        bool ready = __atomic_load_n(&context->Ready, __ATOMIC_ACQUIRE);
        uint64_t due = ready ? 0 : context->NextTimeUs;
        next_time = due < next_time ? due : next_time;
        link = &context->Entry.Next;
    }
    if (next_time == UINT64_MAX) {
        w->state.WaitTime = UINT32_MAX;
    } else if (next_time <= w->state.TimeNow) {
        w->state.WaitTime = 0;
    } else {
        w->state.WaitTime = (uint32_t)((next_time - w->state.TimeNow + 999) / 1000);
    }
}

int worker_run_contexts(struct worker *w)
{
    run_contexts(w);
    if (w->state.WaitTime != 0) {
        run_contexts(w); /* another thread may just have made one ready */
    }
    return (int)w->state.WaitTime; /* -1: for ever */
}

/* ---- events ---- */

static void count_round(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    atomic_fetch_add(&w->rounds, 1);
    pthread_cond_broadcast(&w->came_round);
    pthread_mutex_unlock(&w->lock);
}

int worker_harvest(struct worker *w, int timeout_ms)
{
    if (w->harvested != 0) {
        fprintf(stderr, "harvest: the last batch has not been dispatched\n");
        abort();
    }
    count_round(w);
    int n = epoll_wait(w->queue, w->batch, HOST_BATCH, timeout_ms);
    w->harvested = n > 0 ? n : 0;
    order_after_event();
    return w->harvested;
}

static ORDER_OF_THE_KERNEL CXPLAT_EVENT_COMPLETION_HANDLER completion_of(CXPLAT_CQE *event)
{
    CXPLAT_SQE *sqe = event->data.ptr;
    return sqe->Completion;
}

int worker_dispatch(struct worker *w)
{
    int n = w->harvested;
    for (int i = 0; i < n; i++) {
        completion_of (&w->batch[i])(&w->batch[i]);
        atomic_fetch_add(&w->completions, 1);
    }
    w->harvested = 0;
    return n;
}

/* ---- the thread ---- */

static void *work(void *arg)
{
    struct worker *w = arg;
    while (!atomic_load(&w->stop)) {
        w->state.NoWorkCount++;
        int wait_ms = worker_run_contexts(w);
        worker_harvest(w, wait_ms);
        if (worker_dispatch(w) != 0) {
            w->state.NoWorkCount = 0;
        }
        if (w->state.NoWorkCount == 0) {
            w->state.LastWorkTime = w->state.TimeNow;
        }
    }
    return NULL;
}

bool worker_start(struct worker *w)
{
    w->has_thread = pthread_create(&w->thread, NULL, work, w) == 0;
    return w->has_thread;
}

void worker_stop(struct worker *w)
{
    if (w->has_thread) {
        atomic_store(&w->stop, true);
        worker_wake(w);
        pthread_join(w->thread, NULL);
    }
}
