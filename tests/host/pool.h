/* SPDX-License-Identifier: MIT */
/*
 * pool.h - worker pools of the host, as MsQuic has them: an epoll descriptor for each worker.
 *
 * An ordinary pool has a thread for each worker. An external pool has none: the test polls, and may
 * hold back a batch between the kernel's answer and its completions, to see what happens to an
 * event whose socket has been deleted meanwhile.
 */
#ifndef HOST_POOL_H
#define HOST_POOL_H

#include <pthread.h>
#include <stdbool.h>

#include "msquicxdp/cxplat.h"

/* Events that a worker fetches at once. */
enum { HOST_BATCH = 16 };

/* processors[i] is what worker i calls its ideal processor; NULL: i modulo those online. */
CXPLAT_WORKER_POOL *host_pool_create(uint32_t count, const uint16_t *processors);
CXPLAT_WORKER_POOL *host_pool_create_external(uint32_t count, const uint16_t *processors);

/* From now on nobody gets a reference. */
void host_pool_close(CXPLAT_WORKER_POOL *pool);

/*
 * Closes the pool, waits for the last reference (while the workers go on), ends the workers and
 * frees all. It is a failure of the test when references are left at the deadline, were released
 * with another kind than taken, or when an execution context that has run is still linked. One that
 * has not yet may be: workers do not wait for it.
 */
void host_pool_delete(CXPLAT_WORKER_POOL *pool);

/* References of one kind, or of all kinds together. */
int host_pool_refs_of(CXPLAT_WORKER_POOL *pool, CXPLAT_WORKER_POOL_REF kind);
int host_pool_refs(CXPLAT_WORKER_POOL *pool);

/* Completions that worker `index` has run, and times that it has waited for events. */
uint64_t host_pool_completions(CXPLAT_WORKER_POOL *pool, uint16_t index);
uint64_t host_pool_rounds(CXPLAT_WORKER_POOL *pool, uint16_t index);

/* Waits until worker `index` of an ordinary pool has been through its queue once more. */
bool host_pool_wait_round(CXPLAT_WORKER_POOL *pool, uint16_t index);

/* TRUE on the thread of worker `index`. */
bool host_pool_is_worker(CXPLAT_WORKER_POOL *pool, uint16_t index);

/*
 * External pools. Polling runs the execution contexts that are due, fetches a batch, waiting up to
 * timeout_ms (-1: for ever) for it, and runs its completions. Harvesting only fetches, dispatching
 * only runs; a batch must be dispatched before the next is fetched. Each returns the number of
 * events. One thread at a time for each index.
 */
int host_pool_poll(CXPLAT_WORKER_POOL *pool, uint16_t index, int timeout_ms);
int host_pool_harvest(CXPLAT_WORKER_POOL *pool, uint16_t index, int timeout_ms);
int host_pool_dispatch(CXPLAT_WORKER_POOL *pool, uint16_t index);

/*
 * Fetches again and again until a batch has at least `count` events, or the deadline comes. Only
 * for sockets, whose events are level-triggered and come again.
 */
int host_pool_harvest_count(CXPLAT_WORKER_POOL *pool, uint16_t index, int count);

#endif
