/* SPDX-License-Identifier: MIT */
/*
 * leave.c - the ways in which a host ends while a datapath is live and datagrams go to and fro.
 * None may hang; the runner checks how the process ended.
 *
 *   from_main         main returns 0
 *   from_worker       exit(7) inside an up-call
 *   at_exit           the host closes the datapath in an atexit handler: 8
 *   at_exit_worker    the same, and the handler runs on a worker, inside an up-call: 9
 *   main_thread_ends  main ends by pthread_exit, a worker calls exit(10)
 *   quick             quick_exit(11)
 *   aborts            SIGABRT
 *   faults            SIGSEGV, from a wild read
 *   faults_on_worker  the same inside an up-call
 *   terminated        SIGTERM, from itself
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest.h"
#include "traffic.h"

static struct traffic traffic;
static _Atomic bool leaving;

static void start(void)
{
    traffic_start(&traffic, 2);
    traffic_more(&traffic, 100);
}

/* Lets a worker do it, and waits for the end. */
static void on_worker(void (*act)(void *))
{
    traffic.on_worker = act;
    traffic_start(&traffic, 2);
    for (;;) {
        pause();
    }
}

static void from_main(void)
{
    start();
}

static void exit_7(void *unused)
{
    (void)unused;
    exit(7);
}

static void from_worker(void)
{
    on_worker(exit_7);
}

static void close_all(void)
{
    traffic_stop(&traffic);
    _exit(8);
}

static void at_exit(void)
{
    atexit(close_all);
    start();
    exit(1);
}

/* Of the socket whose up-call this is only the other one may be deleted. */
static void delete_server(void)
{
    CxPlatSocketDelete(traffic.server);
    _exit(9);
}

static void exit_1(void *unused)
{
    (void)unused;
    if (!atomic_exchange(&leaving, true)) {
        exit(1);
    }
}

static void at_exit_worker(void)
{
    atexit(delete_server);
    on_worker(exit_1);
}

static void exit_10_later(void *unused)
{
    (void)unused;
    if (atomic_load(&leaving)) {
        exit(10);
    }
}

static void main_thread_ends(void)
{
    traffic.on_worker = exit_10_later;
    start();
    atomic_store(&leaving, true);
    pthread_exit(NULL);
}

static void quick(void)
{
    start();
    quick_exit(11);
}

static void aborts(void)
{
    start();
    abort();
}

static void read_wild(void *unused)
{
    (void)unused;
    *(volatile char *)(uintptr_t)getpid() = 0;
}

static void faults(void)
{
    start();
    read_wild(NULL);
}

static void faults_on_worker(void)
{
    on_worker(read_wild);
}

static void terminated(void)
{
    start();
    kill(getpid(), SIGTERM);
    for (;;) {
        pause();
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(from_main),        CASE(from_worker), CASE(at_exit), CASE(at_exit_worker),
        CASE(main_thread_ends), CASE(quick),       CASE(aborts),  CASE(faults),
        CASE(faults_on_worker), CASE(terminated),
    };
    CHECK_EQ(argc, 2);
    guest_network();
    guest_play(argv[1], cases, sizeof(cases) / sizeof(cases[0]));
    return 0;
}
