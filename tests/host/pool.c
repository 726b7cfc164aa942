/* SPDX-License-Identifier: MIT */
/* pool.c - the worker pools that the archive imports, and what tests do with them. */
#include "host/pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/check.h"
#include "host/wait.h"
#include "worker.h"

struct CXPLAT_WORKER_POOL {
    uint32_t count;
    pthread_mutex_t lock;
    pthread_cond_t released;
    bool closing;                           /* under lock */
    int refs[CXPLAT_WORKER_POOL_REF_COUNT]; /* under lock */
    struct worker workers[];
};

static const char *const ref_names[CXPLAT_WORKER_POOL_REF_COUNT] = {
    "EXTERNAL", "LIBRARY", "EPOLL", "IOURING", "KQUEUE", "RAW", "WINSOCK", "TOOL",
};

/* ---- making and deleting ---- */

static CXPLAT_WORKER_POOL *create(uint32_t count, const uint16_t *processors, bool threads)
{
    CXPLAT_WORKER_POOL *pool = calloc(1, sizeof(*pool) + count * sizeof(pool->workers[0]));
    if (pool == NULL) {
        abort();
    }
    pool->count = count;
    pthread_mutex_init(&pool->lock, NULL);
    host_cond_init(&pool->released);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t processor = processors != NULL ? processors[i] : i % CxPlatProcessorCount;
        if (!worker_init(&pool->workers[i], (uint16_t)processor) ||
            (threads && !worker_start(&pool->workers[i]))) {
            perror("creating a worker pool");
            abort();
        }
    }
    return pool;
}

CXPLAT_WORKER_POOL *host_pool_create(uint32_t count, const uint16_t *processors)
{
    return create(count, processors, true);
}

CXPLAT_WORKER_POOL *host_pool_create_external(uint32_t count, const uint16_t *processors)
{
    return create(count, processors, false);
}

static int total(const CXPLAT_WORKER_POOL *pool)
{
    int n = 0;
    for (int kind = 0; kind < CXPLAT_WORKER_POOL_REF_COUNT; kind++) {
        n += pool->refs[kind];
    }
    return n;
}

void host_pool_close(CXPLAT_WORKER_POOL *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_mutex_unlock(&pool->lock);
}

/* FALSE when the deadline comes before the last release. */
static bool wait_for_release(CXPLAT_WORKER_POOL *pool)
{
    struct timespec deadline = host_deadline(HOST_DEADLINE_MS);
    pthread_mutex_lock(&pool->lock);
    while (total(pool) > 0 && host_cond_wait(&pool->released, &pool->lock, &deadline)) {
    }
    bool free = total(pool) <= 0;
    for (int kind = 0; kind < CXPLAT_WORKER_POOL_REF_COUNT; kind++) {
        if (pool->refs[kind] != 0) {
            check_fail(
                "worker pool deleted with %d references of kind %s", pool->refs[kind],
                ref_names[kind]);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return free;
}

void host_pool_delete(CXPLAT_WORKER_POOL *pool)
{
    host_pool_close(pool);
    if (!wait_for_release(pool)) {
        return; /* somebody still uses it: the test has failed, and the memory is lost */
    }
    for (uint32_t i = 0; i < pool->count; i++) {
        worker_stop(&pool->workers[i]);
        if (atomic_load(&pool->workers[i].staying) != 0) {
            check_fail("worker %u ends with an execution context that it has run", i);
        }
    }
    for (uint32_t i = 0; i < pool->count; i++) {
        worker_destroy(&pool->workers[i]);
    }
    pthread_cond_destroy(&pool->released);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* ---- imports ---- */

BOOLEAN CxPlatWorkerPoolAddRef(CXPLAT_WORKER_POOL *WorkerPool, CXPLAT_WORKER_POOL_REF RefType)
{
    pthread_mutex_lock(&WorkerPool->lock);
    bool alive = !WorkerPool->closing;
    WorkerPool->refs[RefType] += alive;
    pthread_mutex_unlock(&WorkerPool->lock);
    return alive;
}

void CxPlatWorkerPoolRelease(CXPLAT_WORKER_POOL *WorkerPool, CXPLAT_WORKER_POOL_REF RefType)
{
    pthread_mutex_lock(&WorkerPool->lock);
    WorkerPool->refs[RefType]--;
    pthread_cond_broadcast(&WorkerPool->released);
    pthread_mutex_unlock(&WorkerPool->lock);
}

uint32_t CxPlatWorkerPoolGetCount(CXPLAT_WORKER_POOL *WorkerPool)
{
    return WorkerPool->count;
}

static struct worker *worker_at(CXPLAT_WORKER_POOL *pool, uint32_t index)
{
    if (index >= pool->count) {
        fprintf(stderr, "worker %u asked for, the pool has %u\n", index, pool->count);
        abort(); /* as MsQuic does */
    }
    return &pool->workers[index];
}

uint32_t CxPlatWorkerPoolGetIdealProcessor(CXPLAT_WORKER_POOL *WorkerPool, uint32_t Index)
{
    return worker_at(WorkerPool, Index)->processor;
}

CXPLAT_EVENTQ *CxPlatWorkerPoolGetEventQ(CXPLAT_WORKER_POOL *WorkerPool, uint16_t Index)
{
    return &worker_at(WorkerPool, Index)->queue;
}

void CxPlatWorkerPoolAddExecutionContext(
    CXPLAT_WORKER_POOL *WorkerPool, CXPLAT_EXECUTION_CONTEXT *Context, uint16_t Index)
{
    worker_add_context(worker_at(WorkerPool, Index), Context);
}

/* ---- what tests ask ---- */

int host_pool_refs_of(CXPLAT_WORKER_POOL *pool, CXPLAT_WORKER_POOL_REF kind)
{
    pthread_mutex_lock(&pool->lock);
    int n = pool->refs[kind];
    pthread_mutex_unlock(&pool->lock);
    return n;
}

int host_pool_refs(CXPLAT_WORKER_POOL *pool)
{
    pthread_mutex_lock(&pool->lock);
    int n = total(pool);
    pthread_mutex_unlock(&pool->lock);
    return n;
}

uint64_t host_pool_completions(CXPLAT_WORKER_POOL *pool, uint16_t index)
{
    return atomic_load(&worker_at(pool, index)->completions);
}

uint64_t host_pool_rounds(CXPLAT_WORKER_POOL *pool, uint16_t index)
{
    return atomic_load(&worker_at(pool, index)->rounds);
}

bool host_pool_wait_round(CXPLAT_WORKER_POOL *pool, uint16_t index)
{
    struct worker *w = worker_at(pool, index);
    struct timespec deadline = host_deadline(HOST_DEADLINE_MS);
    pthread_mutex_lock(&w->lock);
    uint64_t target = atomic_load(&w->rounds) + 2; /* the first may have begun before this call */
    while (atomic_load(&w->rounds) < target) {
        worker_wake(w);
        if (!host_cond_wait(&w->came_round, &w->lock, &deadline)) {
            break;
        }
    }
    bool reached = atomic_load(&w->rounds) >= target;
    pthread_mutex_unlock(&w->lock);
    return reached;
}

bool host_pool_is_worker(CXPLAT_WORKER_POOL *pool, uint16_t index)
{
    struct worker *w = worker_at(pool, index);
    return w->has_thread && pthread_equal(w->thread, pthread_self());
}

/* ---- external polling ---- */

int host_pool_harvest(CXPLAT_WORKER_POOL *pool, uint16_t index, int timeout_ms)
{
    return worker_harvest(worker_at(pool, index), timeout_ms);
}

int host_pool_harvest_count(CXPLAT_WORKER_POOL *pool, uint16_t index, int count)
{
    struct worker *w = worker_at(pool, index);
    struct timespec deadline = host_deadline(HOST_DEADLINE_MS);
    while (worker_harvest(w, host_remaining_ms(&deadline)) < count &&
           host_remaining_ms(&deadline) > 0) {
        w->harvested = 0;
    }
    return w->harvested;
}

int host_pool_dispatch(CXPLAT_WORKER_POOL *pool, uint16_t index)
{
    return worker_dispatch(worker_at(pool, index));
}

int host_pool_poll(CXPLAT_WORKER_POOL *pool, uint16_t index, int timeout_ms)
{
    struct worker *w = worker_at(pool, index);
    int wait_ms = worker_run_contexts(w);
    if (wait_ms < 0 || (timeout_ms >= 0 && timeout_ms < wait_ms)) {
        wait_ms = timeout_ms;
    }
    worker_harvest(w, wait_ms);
    return worker_dispatch(w);
}
