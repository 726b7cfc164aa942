/* SPDX-License-Identifier: MIT */
/* partition.c - takes turns. */
#include "partition.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "inlet.h"
#include "server.h"

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NGTCP2_SECONDS + (uint64_t)t.tv_nsec;
}

/* The partition of this thread's worker; NULL before its first turn. */
static _Thread_local struct partition *here;

static void make_ready(struct partition *p)
{
    __atomic_store_n(&p->context.Ready, TRUE, __ATOMIC_RELEASE);
}

/* ---- what comes in ---- */

/* Leaves a chain to the worker that is to have its first datagram. */
static void leave(struct server *server, CXPLAT_RECV_DATA *chain)
{
    struct partition *p = &server->partitions[chain->PartitionIndex];
    struct chain all;
    chain_init(&all);
    while (chain != NULL) {
        CXPLAT_RECV_DATA *data = chain;
        chain = data->Next;
        chain_add(&all, data);
    }
    partition_give(p, &all);
    CxPlatRecvDataReturn(chain_take(&all)); /* none, unless that worker has ended */
}

void partition_receive(struct server *server, CXPLAT_RECV_DATA *chain)
{
    if (here == NULL) {
        leave(server, chain);
    } else if (here->ended) {
        CxPlatRecvDataReturn(chain);
    } else {
        inlet_take(here, chain, now_ns());
        make_ready(here);
    }
}

void partition_give(struct partition *p, struct chain *chain)
{
    pthread_mutex_lock(&p->lock);
    bool taken = !p->ended;
    if (taken) {
        chain_join(&p->arriving, chain);
    }
    pthread_mutex_unlock(&p->lock);
    if (taken) {
        partition_wake(p);
    }
}

static CXPLAT_RECV_DATA *take_arriving(struct partition *p, bool end)
{
    pthread_mutex_lock(&p->lock);
    CXPLAT_RECV_DATA *chain = chain_take(&p->arriving);
    p->ended = end;
    pthread_mutex_unlock(&p->lock);
    return chain;
}

/* ---- turns ---- */

void partition_mark_pending(struct partition *p, struct conn *c)
{
    if (!c->pending) {
        c->pending = true;
        c->next_pending = p->pending;
        p->pending = c;
    }
}

/* Serves the timers that are due, and frees connections that are over. */
static void expire(struct partition *p, uint64_t now)
{
    for (struct conn **link = &p->conns; *link != NULL;) {
        struct conn *c = *link;
        if (c->expiry > now || c->pending) {
            link = &c->next;
        } else if (conn_expire(c, now)) {
            partition_mark_pending(p, c);
            link = &c->next;
        } else {
            *link = c->next;
            conn_free(c);
        }
    }
}

static void write_pending(struct partition *p, uint64_t now)
{
    while (p->pending != NULL) {
        struct conn *c = p->pending;
        p->pending = c->next_pending;
        c->pending = false;
        conn_write(c, now);
    }
}

/* Microseconds, rounded up; UINT64_MAX: never. */
static uint64_t next_expiry(const struct partition *p)
{
    uint64_t next = UINT64_MAX;
    for (const struct conn *c = p->conns; c != NULL; c = c->next) {
        next = c->expiry < next ? c->expiry : next;
    }
    return next == UINT64_MAX ? next : next / 1000 + (next % 1000 != 0);
}

static void end(struct partition *p)
{
    CxPlatRecvDataReturn(take_arriving(p, true));
    while (p->conns != NULL) {
        struct conn *c = p->conns;
        p->conns = c->next;
        conn_close(c, 0, now_ns());
        conn_free(c);
    }
    gauge_add(&p->server->ended, 1);
}

static BOOLEAN turn(void *context, CXPLAT_EXECUTION_STATE *state)
{
    struct partition *p = context;
    here = p;
    if (atomic_load(&p->server->stopping)) {
        end(p);
        return FALSE;
    }
    uint64_t now = now_ns();
    inlet_take(p, take_arriving(p, false), now);
    expire(p, now);
    write_pending(p, now);
    p->context.NextTimeUs = next_expiry(p);
    state->NoWorkCount = 0;
    return TRUE;
}

/* ---- the worker ---- */

/* The context is ready, and runs since the worker has woken up. */
static void woken(CXPLAT_CQE *event)
{
    (void)event;
}

void partition_wake(struct partition *p)
{
    make_ready(p);
    if (write(p->wake.fd, &(uint64_t){1}, sizeof(uint64_t)) < 0) {
        abort(); /* only a counter that is full would refuse */
    }
}

static bool watch_wake(struct partition *p)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = &p->wake};
    CXPLAT_EVENTQ *queue = CxPlatWorkerPoolGetEventQ(p->server->pool, p->index);
    p->wake.Completion = woken;
    p->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return p->wake.fd >= 0 && epoll_ctl(*queue, EPOLL_CTL_ADD, p->wake.fd, &event) == 0;
}

bool partition_open(struct partition *p, struct server *server, uint16_t index)
{
    p->server = server;
    p->index = index;
    chain_init(&p->arriving);
    pthread_mutex_init(&p->lock, NULL);
    if (!watch_wake(p)) {
        return false;
    }
    p->context.Context = p;
    p->context.Callback = turn;
    p->context.NextTimeUs = UINT64_MAX;
    p->context.Ready = TRUE; /* a first turn, to know the thread */
    CxPlatWorkerPoolAddExecutionContext(server->pool, &p->context, index);
    return true;
}

void partition_close(struct partition *p)
{
    if (p->wake.fd > 0) {
        close(p->wake.fd);
    }
}
