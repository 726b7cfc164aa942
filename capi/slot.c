/* SPDX-License-Identifier: MIT */
/*
 * slot.c - endpoints in memory that is recycled, never freed.
 *
 * An event queue may still dispatch an event that it harvested before the socket was deleted, and
 * MsQuic may still hold a route with the queue of a deleted socket. Nobody says when the last of
 * these is gone. A slot therefore stays a slot for ever: a late event finds its gate closed, or
 * after reuse causes one needless read, and a late queue value has an old generation. Reuse is in
 * order of release and not within a second, so in practice even that does not happen.
 */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define GATE_CLOSED UINT32_C(0x80000000)

enum {
    CHUNK_SLOTS = 256,
    MAX_CHUNKS = 4096, /* a million sockets at once */
    REST_MS = 1000
};

static pthread_mutex_t slot_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(MqxSlot *) chunks[MAX_CHUNKS];
static uint32_t slot_count; /* ever made; under slot_lock */
static MqxSlot *free_head;  /* released longest ago */
static MqxSlot *free_tail;

uint64_t mqx_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static MqxSlot *slot_at(uint32_t index)
{
    if (index >= CHUNK_SLOTS * MAX_CHUNKS) {
        return NULL;
    }
    MqxSlot *chunk = atomic_load_explicit(&chunks[index / CHUNK_SLOTS], memory_order_acquire);
    return chunk == NULL ? NULL : &chunk[index % CHUNK_SLOTS];
}

static MqxSlot *reuse_slot(void)
{
    MqxSlot *slot = free_head;
    if (slot == NULL || mqx_now_ms() - slot->FreedAt < REST_MS) {
        return NULL;
    }
    free_head = slot->Next;
    if (free_head == NULL) {
        free_tail = NULL;
    }
    return slot;
}

static MqxSlot *make_slot(void)
{
    uint32_t index = slot_count;
    if (index == CHUNK_SLOTS * MAX_CHUNKS) {
        return NULL;
    }
    MqxSlot *chunk = atomic_load(&chunks[index / CHUNK_SLOTS]);
    if (chunk == NULL) {
        chunk = mmap(
            NULL, CHUNK_SLOTS * sizeof(MqxSlot), PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (chunk == MAP_FAILED) {
            return NULL;
        }
        atomic_store_explicit(&chunks[index / CHUNK_SLOTS], chunk, memory_order_release);
    }
    slot_count++;
    MqxSlot *slot = &chunk[index % CHUNK_SLOTS];
    slot->Index = index;
    slot->Generation = 1; /* so that no queue value looks to Go like a wrong pointer */
    atomic_store(&slot->Gate, GATE_CLOSED);
    return slot;
}

/* A route's Queue is no pointer: index + 1 below, generation above. Zero is "no queue". */
static void *queue_value(const MqxSlot *slot)
{
    return (void *)(uintptr_t)((uint64_t)slot->Generation << 32 | (slot->Index + 1));
}

MqxSlot *mqx_slot_of_queue(const CXPLAT_QUEUE *queue, const CXPLAT_SOCKET *socket)
{
    uint64_t value = (uint64_t)(uintptr_t)queue;
    MqxSlot *slot = slot_at((uint32_t)value - 1);
    if (slot == NULL || slot->Socket != socket || slot->Generation != value >> 32) {
        return NULL;
    }
    return slot;
}

MqxSlot *mqx_slot_enter(const CXPLAT_QUEUE *queue)
{
    uint64_t value = (uint64_t)(uintptr_t)queue;
    MqxSlot *slot = slot_at((uint32_t)value - 1);
    if (slot == NULL || !mqx_gate_enter(slot)) {
        return NULL;
    }
    /* Inside the gate the generation stands still. */
    if (slot->Generation != value >> 32) {
        mqx_gate_leave(slot);
        return NULL;
    }
    return slot;
}

MqxSlot *mqx_slot_new(CXPLAT_SOCKET *socket, MqxPartition *partition)
{
    pthread_mutex_lock(&slot_lock);
    MqxSlot *slot = reuse_slot();
    if (slot == NULL) {
        slot = make_slot();
    }
    pthread_mutex_unlock(&slot_lock);
    if (slot == NULL) {
        return NULL;
    }
    slot->Sqe.fd = -1;
    slot->Sqe.Completion = mqx_slot_event;
    slot->Socket = socket;
    slot->Partition = partition;
    slot->Raw = NULL;
    slot->Endpoint = (MqxEndpoint){
        .Sqe = &slot->Sqe,
        .Queue = queue_value(slot),
        .EventQ = partition->EventQ,
        .Partition = partition->Index,
        .Cpu = partition->Cpu,
        .Fd = -1,
        .SpareFd = -1,
    };
    return slot;
}

void mqx_slot_free(MqxSlot *slot)
{
    if (atomic_load(&mqx_forked)) {
        return; /* whoever held slot_lock is not in the child */
    }
    slot->Socket = NULL;
    slot->Generation++;
    slot->Next = NULL;
    slot->FreedAt = mqx_now_ms();
    pthread_mutex_lock(&slot_lock);
    if (free_tail == NULL) {
        free_head = slot;
    } else {
        free_tail->Next = slot;
    }
    free_tail = slot;
    pthread_mutex_unlock(&slot_lock);
}

bool mqx_gate_enter(MqxSlot *slot)
{
    if ((atomic_fetch_add(&slot->Gate, 1) & GATE_CLOSED) == 0) {
        return true;
    }
    mqx_gate_leave(slot);
    return false;
}

void mqx_gate_leave(MqxSlot *slot)
{
    if (atomic_fetch_sub(&slot->Gate, 1) == (GATE_CLOSED | 1)) {
        syscall(SYS_futex, &slot->Gate, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    }
}

/* A late event may be inside for a moment: its count is kept. */
void mqx_gate_open(MqxSlot *slot)
{
    atomic_fetch_and(&slot->Gate, ~GATE_CLOSED);
}

void mqx_gate_close(MqxSlot *slot)
{
    atomic_fetch_or(&slot->Gate, GATE_CLOSED);
}

void mqx_gate_wait(MqxSlot *slot)
{
    uint32_t gate;
    while ((gate = atomic_load(&slot->Gate)) != GATE_CLOSED) {
        syscall(SYS_futex, &slot->Gate, FUTEX_WAIT_PRIVATE, gate, NULL, NULL, 0);
    }
}

bool mqx_gate_is_empty(MqxSlot *slot)
{
    return atomic_load(&slot->Gate) == GATE_CLOSED;
}
