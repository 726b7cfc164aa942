/* SPDX-License-Identifier: MIT */
/*
 * cycles.c - a host that makes and ends datapaths again and again.
 *
 *   cycles bare|used TIMES
 *
 * "used" also opens a UDP socket and a TCP listener, and lets a datagram through. After a first
 * part, in which caches fill, nothing of the process may grow any more.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "traffic.h"

enum {
    WORKERS = 2,
    HEAP_KB = 4096,         /* Go's heap is this large before it is first collected */
    THREAD_KB = 144 * 1024, /* address space of a thread: its stack, its arena of malloc */
    THREAD_MAPS = 6,
    MAPS = 8
};

static void bare(void)
{
    struct rig rig;
    rig_open(&rig, WORKERS);
    rig_close(&rig);
}

static void used(void)
{
    struct rig rig;
    struct inbox in, listening;
    QUIC_ADDR any = addr("127.0.0.1", 0);
    rig_open(&rig, WORKERS);
    inbox_init(&in, &rig);
    inbox_init(&listening, &rig);
    CXPLAT_SOCKET *socket = rig_udp(&rig, &in, &any, NULL);
    CXPLAT_SOCKET *listener = rig_listener(&rig, &listening, &any);
    QUIC_ADDR self = socket_local(socket);
    CXPLAT_ROUTE route = route_to(socket, &self);
    send_pattern(socket, &route, 1200, 1);
    CHECK(inbox_wait(&in, INBOX_DATAGRAMS, 1));
    rig_delete(listener, &listening);
    rig_delete(socket, &in);
    rig_close(&rig);
    inbox_free(&in);
    inbox_free(&listening);
}

static void say(const char *when, const struct guest_usage *u)
{
    guest_say(
        "%s: %d threads, %d descriptors, %d mappings, %ld KiB resident, %ld KiB virtual", when,
        u->threads, u->fds, u->maps, u->resident_kb, u->virtual_kb);
}

/* Without the workers of the last pool, which may still be on the list of threads. */
static struct guest_usage settled(void)
{
    CHECK(guest_wait_threads(1 + guest_go_threads(WORKERS)));
    return guest_usage();
}

/* Go starts a thread now and then until it has one for each of its processors. */
static void compare(const struct guest_usage *then, const struct guest_usage *now)
{
    int threads = now->threads > then->threads ? now->threads - then->threads : 0;
    CHECK_LE(now->fds, then->fds + GUEST_GO_FDS);
    CHECK_LE(now->maps, then->maps + threads * THREAD_MAPS + MAPS);
    CHECK_LE(now->resident_kb, then->resident_kb + HEAP_KB);
    /* A thread gets its arena when it first meets another in malloc, which may be late. */
    CHECK_LE(now->virtual_kb, then->virtual_kb + now->threads * THREAD_KB + HEAP_KB);
}

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 3);
    void (*cycle)(void) = strcmp(argv[1], "bare") == 0 ? bare : used;
    int times = atoi(argv[2]);
    guest_network();
    cycle();
    struct guest_usage once = guest_usage();
    say("after 1 cycle", &once);
    for (int i = 0; i < times / 2; i++) {
        cycle();
    }
    struct guest_usage half = settled();
    say("after half of them", &half);
    uint64_t start = host_now_us();
    for (int i = times / 2; i < times; i++) {
        cycle();
    }
    uint64_t us = (host_now_us() - start) / (uint64_t)(times - times / 2);
    struct guest_usage end = settled();
    say("after all of them", &end);
    guest_say("a cycle takes %u us", (unsigned)us);
    compare(&half, &end);
    return 0;
}
