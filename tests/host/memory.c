/* SPDX-License-Identifier: MIT */
/* memory.c - the allocator that the archive imports, with its bookkeeping. */
#include "host/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/wait.h"
#include "msquicxdp/cxplat.h"

/* Lies before every allocation. */
struct header {
    struct header *next;
    struct header *prev;
    size_t size;
    uint32_t tag;
    uint32_t magic;
};
_Static_assert(sizeof(struct header) % 16 == 0, "allocations are aligned as malloc does");

enum { MAGIC_LIVE = 0x4c495645, MAGIC_DEAD = 0x44454144, FREED = 0xdd };

struct plan {
    unsigned every; /* 0: not so */
    unsigned nth;   /* 0: not so */
    unsigned seen;
    unsigned failed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fewer;
static struct header all = {.next = &all, .prev = &all};
static size_t live;
static uint64_t made;
static unsigned faults;
static struct plan everybodys;
static _Thread_local struct plan mine;

__attribute__((constructor)) static void init_memory(void)
{
    host_cond_init(&fewer);
}

static bool plan_fails(struct plan *plan)
{
    if (plan->every == 0 && plan->nth == 0) {
        return false;
    }
    plan->seen++;
    bool fails = plan->seen == plan->nth || (plan->every != 0 && plan->seen % plan->every == 0);
    plan->failed += fails;
    return fails;
}

void *CxPlatAlloc(size_t ByteCount, uint32_t Tag)
{
    pthread_mutex_lock(&lock);
    bool fails = plan_fails(&everybodys) || plan_fails(&mine);
    pthread_mutex_unlock(&lock);
    struct header *h = fails ? NULL : calloc(1, sizeof(*h) + ByteCount);
    if (h == NULL) {
        return NULL;
    }
    h->size = ByteCount;
    h->tag = Tag;
    h->magic = MAGIC_LIVE;
    pthread_mutex_lock(&lock);
    h->next = all.next;
    h->prev = &all;
    all.next->prev = h;
    all.next = h;
    live++;
    made++;
    pthread_mutex_unlock(&lock);
    return h + 1;
}

static void fault(const char *what, const void *mem, uint32_t tag)
{
    fprintf(stderr, "CxPlatFree(%p, tag 0x%08x): %s\n", mem, tag, what);
    faults++;
}

/* Under the lock. TRUE when the memory may be given up. */
static bool unlink_header(struct header *h, uint32_t tag)
{
    if (h->magic != MAGIC_LIVE) {
        fault(h->magic == MAGIC_DEAD ? "freed before" : "not from CxPlatAlloc", h + 1, tag);
        return false;
    }
    if (h->tag != tag) {
        fault("allocated with another tag", h + 1, tag);
    }
    h->magic = MAGIC_DEAD;
    h->next->prev = h->prev;
    h->prev->next = h->next;
    live--;
    return true;
}

void CxPlatFree(void *Mem, uint32_t Tag)
{
    if (Mem == NULL) {
        return;
    }
    struct header *h = (struct header *)Mem - 1;
    pthread_mutex_lock(&lock);
    bool ours = unlink_header(h, Tag);
    pthread_cond_broadcast(&fewer);
    pthread_mutex_unlock(&lock);
    if (ours) {
        memset(Mem, FREED, h->size);
        free(h);
    }
}

size_t host_memory_live(void)
{
    pthread_mutex_lock(&lock);
    size_t n = live;
    pthread_mutex_unlock(&lock);
    return n;
}

size_t host_memory_live_tag(uint32_t tag)
{
    size_t n = 0;
    pthread_mutex_lock(&lock);
    for (struct header *h = all.next; h != &all; h = h->next) {
        n += h->tag == tag;
    }
    pthread_mutex_unlock(&lock);
    return n;
}

uint64_t host_memory_made(void)
{
    pthread_mutex_lock(&lock);
    uint64_t n = made;
    pthread_mutex_unlock(&lock);
    return n;
}

unsigned host_memory_faults(void)
{
    pthread_mutex_lock(&lock);
    unsigned n = faults;
    pthread_mutex_unlock(&lock);
    return n;
}

bool host_memory_wait_live(size_t at_most)
{
    struct timespec deadline = host_deadline(HOST_DEADLINE_MS);
    pthread_mutex_lock(&lock);
    while (live > at_most && host_cond_wait(&fewer, &lock, &deadline)) {
    }
    bool reached = live <= at_most;
    pthread_mutex_unlock(&lock);
    return reached;
}

static const char *tag_name(uint32_t tag)
{
    switch (tag) {
    case QUIC_POOL_DATA: return "receive and send blocks";
    case QUIC_POOL_DATAPATH: return "datapaths";
    case QUIC_POOL_SOCKET: return "sockets";
    case QUIC_POOL_DATAPATH_ADDRESSES: return "address lists";
    case QUIC_POOL_DATAPATH_RSS_CONFIG: return "RSS configurations";
    default: return "unknown tag";
    }
}

void host_memory_print(void)
{
    pthread_mutex_lock(&lock);
    for (struct header *h = all.next; h != &all; h = h->next) {
        fprintf(
            stderr, "    live: %zu bytes, tag 0x%08x (%s)\n", h->size, h->tag, tag_name(h->tag));
    }
    pthread_mutex_unlock(&lock);
}

static void set_plan(enum host_fail_who who, struct plan plan)
{
    pthread_mutex_lock(&lock);
    *(who == HOST_ALL_THREADS ? &everybodys : &mine) = plan;
    pthread_mutex_unlock(&lock);
}

void host_fail_every(enum host_fail_who who, unsigned k)
{
    set_plan(who, (struct plan){.every = k});
}

void host_fail_nth(enum host_fail_who who, unsigned n)
{
    set_plan(who, (struct plan){.nth = n});
}

unsigned host_fail_off(enum host_fail_who who)
{
    pthread_mutex_lock(&lock);
    unsigned failed = who == HOST_ALL_THREADS ? everybodys.failed : mine.failed;
    pthread_mutex_unlock(&lock);
    set_plan(who, (struct plan){0});
    return failed;
}
