/* SPDX-License-Identifier: MIT */
/*
 * pool.c - caches of receive and send blocks.
 *
 * A block may come back long after its datapath is gone, or never. So a pool counts what it has
 * given out and frees itself when it is closed and the last block has come back; one whose blocks
 * never do costs its memory, and hangs nobody.
 */
#include <pthread.h>

#include "internal.h"

enum { POOL_DEPTH = 256 }; /* idle blocks kept, as MsQuic's own pools do */

struct MqxPool {
    pthread_mutex_t Lock;
    MqxBlock *Free;
    uint32_t Depth;
    uint32_t Out; /* given out, plus one while the pool is open */
    bool Closed;
    uint16_t Partition;
    size_t Size;
};

MqxPool *mqx_pool_create(size_t size, uint16_t partition)
{
    MqxPool *pool = CxPlatAlloc(sizeof(*pool), QUIC_POOL_DATAPATH);
    if (pool == NULL) {
        return NULL;
    }
    pthread_mutex_init(&pool->Lock, NULL);
    pool->Size = size;
    pool->Partition = partition;
    pool->Out = 1;
    return pool;
}

/* Drops one of what Out counts. Called with the lock, which it gives up. */
static void drop_and_unlock(MqxPool *pool)
{
    bool last = --pool->Out == 0;
    pthread_mutex_unlock(&pool->Lock);
    if (last) {
        pthread_mutex_destroy(&pool->Lock);
        CxPlatFree(pool, QUIC_POOL_DATAPATH);
    }
}

void mqx_pool_close(MqxPool *pool)
{
    if (pool == NULL || atomic_load(&mqx_forked)) {
        return; /* in a child of fork the lock may be held by nobody */
    }
    pthread_mutex_lock(&pool->Lock);
    MqxBlock *idle = pool->Free;
    pool->Free = NULL;
    pool->Closed = true;
    drop_and_unlock(pool);
    while (idle != NULL) {
        MqxBlock *next = idle->Next;
        CxPlatFree(idle, QUIC_POOL_DATA);
        idle = next;
    }
}

void *mqx_pool_get(MqxPool *pool)
{
    if (atomic_load(&mqx_forked)) {
        return NULL;
    }
    pthread_mutex_lock(&pool->Lock);
    MqxBlock *block = pool->Free;
    if (block != NULL) {
        pool->Free = block->Next;
        pool->Depth--;
    }
    pool->Out++;
    pthread_mutex_unlock(&pool->Lock);
    if (block != NULL) {
        return block;
    }
    block = CxPlatAlloc(pool->Size, QUIC_POOL_DATA);
    if (block == NULL) {
        pthread_mutex_lock(&pool->Lock);
        drop_and_unlock(pool);
        return NULL;
    }
    block->Pool = pool;
    mqx_count(&mqx_counters(pool->Partition)->BlockAllocs, 1);
    return block;
}

void mqx_pool_put(void *p)
{
    MqxBlock *block = p;
    if (atomic_load(&mqx_forked)) {
        return;
    }
    MqxPool *pool = block->Pool;
    pthread_mutex_lock(&pool->Lock);
    bool keep = !pool->Closed && pool->Depth < POOL_DEPTH;
    if (keep) {
        block->Next = pool->Free;
        pool->Free = block;
        pool->Depth++;
    }
    drop_and_unlock(pool);
    if (!keep) {
        CxPlatFree(block, QUIC_POOL_DATA);
    }
}
