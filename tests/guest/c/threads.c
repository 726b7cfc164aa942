/* SPDX-License-Identifier: MIT */
/*
 * threads.c - a host whose threads are many, small, short-lived, or not quite threads.
 *
 *   first_together   16 threads make the first datapath at the same moment: one runtime
 *   senders       64 threads send at once, on one socket; every call comes back
 *   small_stack   threads of 64 KiB make, use and delete everything
 *   smallest      the same with the smallest stack that the C library allows
 *   coroutine     on a stack of the host's own, by swapcontext
 *   recreated     10 000 threads that send a datagram and end: none of Go's remains for them
 *   cancelled     threads that are cancelled while they send
 *   namespaces    a thread in another network namespace gets its sockets and addresses there
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

#include "guest.h"
#include "traffic.h"

enum {
    WORKERS = 2,
    FIRST = 16,
    SENDERS = 64,
    SENDS = 2000,
    SMALL = 64 * 1024,
    TOGETHER = 8,
    RECREATED = 10000
};

static struct traffic traffic;
static CXPLAT_ROUTE route;

static pthread_t start_thread(void *(*run)(void *), size_t stack_size)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    CHECK_EQ(pthread_attr_setstacksize(&attr, stack_size), 0);
    CHECK_EQ(pthread_create(&thread, &attr, run, NULL), 0);
    pthread_attr_destroy(&attr);
    return thread;
}

/* ---- many ---- */

static pthread_barrier_t together;

static void *initialise(void *unused)
{
    struct rig rig;
    pthread_barrier_wait(&together);
    rig_open(&rig, 1);
    rig_close(&rig);
    return unused;
}

static void first_together(void)
{
    pthread_t threads[FIRST];
    CHECK_EQ(pthread_barrier_init(&together, NULL, FIRST), 0);
    for (int i = 0; i < FIRST; i++) {
        threads[i] = start_thread(initialise, SMALL);
    }
    for (int i = 0; i < FIRST; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK(guest_wait_threads(1 + guest_go_threads(1))); /* two runtimes would have more */
}

static void *send_many(void *unused)
{
    CXPLAT_ROUTE mine = route;
    for (int i = 0; i < SENDS; i++) {
        send_pattern(traffic.client, &mine, 1200, 7);
    }
    return unused;
}

static void senders(void)
{
    pthread_t threads[SENDERS];
    traffic_start(&traffic, WORKERS);
    route = route_of(traffic.client);
    uint64_t before = counters_now().tx_datagrams;
    for (int i = 0; i < SENDERS; i++) {
        threads[i] = start_thread(send_many, 1 << 20);
    }
    for (int i = 0; i < SENDERS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK(counters_now().tx_datagrams >= before + SENDERS * SENDS);
    traffic_more(&traffic, 100);
    guest_say("threads: %d", guest_usage().threads);
    traffic_stop(&traffic);
}

/* ---- small ---- */

static void *whole_life(void *unused)
{
    static struct traffic own;
    traffic_start(&own, WORKERS);
    CXPLAT_ADAPTER_ADDRESS *list = NULL;
    uint32_t count = 0;
    CHECK_OK(CxPlatDataPathGetLocalAddresses(own.rig.datapath, &list, &count));
    CHECK(count > 0);
    CxPlatFree(list, QUIC_POOL_DATAPATH_ADDRESSES);
    traffic_more(&own, 100);
    traffic_stop(&own);
    return unused;
}

static void small_stack(void)
{
    CHECK_EQ(pthread_join(start_thread(whole_life, SMALL), NULL), 0); /* starts the runtime */
    CHECK_EQ(pthread_join(start_thread(whole_life, SMALL), NULL), 0);
}

static void smallest(void)
{
    size_t size = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    guest_say("stack: %zu bytes", size);
    CHECK_EQ(pthread_join(start_thread(whole_life, size), NULL), 0);
    CHECK_EQ(pthread_join(start_thread(whole_life, size), NULL), 0);
}

static ucontext_t outside, inside;

static void live_inside(void)
{
    whole_life(NULL);
    swapcontext(&inside, &outside);
    whole_life(NULL);
}

static void coroutine(void)
{
    CHECK_EQ(getcontext(&inside), 0);
    inside.uc_stack.ss_sp = malloc(SMALL);
    inside.uc_stack.ss_size = SMALL;
    inside.uc_link = &outside;
    makecontext(&inside, live_inside, 0);
    for (int turn = 0; turn < 2; turn++) {
        CHECK_EQ(swapcontext(&outside, &inside), 0);
        whole_life(NULL);
    }
    free(inside.uc_stack.ss_sp);
}

/* ---- short-lived ---- */

static void *send_once(void *unused)
{
    CXPLAT_ROUTE mine = route;
    send_pattern(traffic.client, &mine, 1200, 7);
    return unused;
}

static void create_and_join(int times)
{
    pthread_t threads[TOGETHER];
    for (int n = 0; n < times; n += TOGETHER) {
        for (int i = 0; i < TOGETHER; i++) {
            threads[i] = start_thread(send_once, SMALL);
        }
        for (int i = 0; i < TOGETHER; i++) {
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        }
    }
}

static void recreated(void)
{
    traffic_start(&traffic, WORKERS);
    route = route_of(traffic.client);
    create_and_join(RECREATED / 10);
    struct guest_usage before = guest_usage();
    create_and_join(RECREATED);
    CHECK(guest_wait_threads(1 + WORKERS + guest_go_threads(WORKERS)));
    struct guest_usage after = guest_usage();
    guest_say(
        "threads: %d, then %d; resident: %ld KiB, then %ld KiB", before.threads, after.threads,
        before.resident_kb, after.resident_kb);
    CHECK_LE(after.resident_kb, before.resident_kb + 4096);
    CHECK_LE(after.fds, before.fds + GUEST_GO_FDS);
    traffic_more(&traffic, 100);
    traffic_stop(&traffic);
}

static void *send_until_cancelled(void *unused)
{
    for (;;) {
        send_once(unused);
        pthread_testcancel();
    }
    return unused;
}

static void cancelled(void)
{
    traffic_start(&traffic, WORKERS);
    route = route_of(traffic.client);
    for (int i = 0; i < 200; i++) {
        void *result;
        uint64_t sent = counters_now().tx_datagrams;
        pthread_t thread = start_thread(send_until_cancelled, SMALL);
        while (counters_now().tx_datagrams < sent + 10) {
            sched_yield();
        }
        CHECK_EQ(pthread_cancel(thread), 0);
        CHECK_EQ(pthread_join(thread, &result), 0);
        CHECK(result == PTHREAD_CANCELED);
    }
    traffic_more(&traffic, 100);
    traffic_stop(&traffic);
}

/* ---- elsewhere ---- */

static QUIC_ADDR taken;

static void *live_in_another_namespace(void *unused)
{
    struct inbox in;
    CHECK_EQ(unshare(CLONE_NEWNET), 0);
    guest_network();
    inbox_init(&in, &traffic.rig);
    CXPLAT_SOCKET *socket = rig_udp(&traffic.rig, &in, &taken, NULL); /* the port is free here */
    CXPLAT_ROUTE here = route_to(socket, &taken);
    send_pattern(socket, &here, 300, 1);
    CHECK(inbox_wait(&in, INBOX_DATAGRAMS, 1));
    rig_delete(socket, &in);
    inbox_free(&in);
    return unused;
}

static void namespaces(void)
{
    traffic_start(&traffic, WORKERS);
    taken = socket_local(traffic.server);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(pthread_join(start_thread(live_in_another_namespace, SMALL), NULL), 0);
    }
    traffic_more(&traffic, 100);
    traffic_stop(&traffic);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(first_together), CASE(senders),   CASE(small_stack), CASE(smallest),
        CASE(coroutine),      CASE(recreated), CASE(cancelled),   CASE(namespaces),
    };
    CHECK_EQ(argc, 2);
    guest_network();
    guest_play(argv[1], cases, sizeof(cases) / sizeof(cases[0]));
    return 0;
}
