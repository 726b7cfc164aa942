/* SPDX-License-Identifier: MIT */
/*
 * forks.c - a host that forks, with and without exec.
 *
 *   child_is_refused        after init: a child of fork gets INVALID_STATE and is told why
 *   child_may_clean_up      it may delete what it has inherited; the parent's traffic goes on
 *   child_may_delete_tcp    it may delete a TCP socket; the parent's connection stands
 *   child_is_quiet          it may call everything else; nothing hangs, nothing is sent
 *   child_ends              by exit, and by pthread_exit from the thread that forked
 *   fork_before_init        then parent and child have a runtime each
 *   exec_leaks_nothing      fork+exec, posix_spawn and system, while sockets come and go
 *   many_forks              hundreds of children under load clean up: no inherited lock hangs one
 *   list                    (the program executed) prints its open descriptors above 2
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "host/process.h"
#include "traffic.h"

enum { CHILD_MS = 10000, EXECS = 60, FORKS = 300 };

extern char **environ;
static struct traffic traffic;

static void in_child(void (*run)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        run();
        _exit(0);
    }
    CHECK(pid > 0);
    CHECK_EQ(guest_wait_child(pid, CHILD_MS), 0);
}

/* ---- a child without exec ---- */

static bool reason_names(const char *text)
{
    char reason[512];
    msquicxdp_last_reason(reason, sizeof(reason));
    return strstr(reason, text) != NULL;
}

static void try_to_start(void)
{
    CXPLAT_DATAPATH *datapath = NULL;
    CHECK_EQ(
        CxPlatDataPathInitialize(0, &inbox_udp, NULL, traffic.rig.pool, NULL, &datapath),
        QUIC_STATUS_INVALID_STATE);
    CHECK(datapath == NULL);
    CHECK(reason_names("docs/HOST.md"));
}

static void try_to_open(void)
{
    QUIC_ADDR any = addr("127.0.0.1", 0);
    CXPLAT_UDP_CONFIG config = {.LocalAddress = &any};
    CXPLAT_SOCKET *socket = NULL;
    CHECK_EQ(
        CxPlatSocketCreateUdp(traffic.rig.datapath, &config, &socket), QUIC_STATUS_INVALID_STATE);
    CHECK(reason_names("docs/HOST.md"));
    CHECK_EQ(
        CxPlatSocketCreateTcpListener(traffic.rig.datapath, &any, NULL, &socket),
        QUIC_STATUS_INVALID_STATE);
    CXPLAT_ADAPTER_ADDRESS *list;
    uint32_t count;
    CHECK_EQ(CxPlatDataPathGetLocalAddresses(NULL, &list, &count), QUIC_STATUS_INVALID_STATE);
}

static void refused(void)
{
    try_to_start();
    try_to_open();
}

static void child_is_refused(void)
{
    traffic_start(&traffic, 2);
    traffic_more(&traffic, 100);
    in_child(refused);
    traffic_more(&traffic, 100);
    traffic_stop(&traffic);
}

static void delete_all(void)
{
    CxPlatSocketDelete(traffic.client);
    CxPlatSocketDelete(traffic.server);
    CxPlatDataPathUninitialize(traffic.rig.datapath);
}

static void clean_up(void)
{
    delete_all();
    CHECK_EQ(host_pool_refs(traffic.rig.pool), 0);
}

static void child_may_clean_up(void)
{
    traffic_start(&traffic, 2);
    for (int i = 0; i < 10; i++) {
        traffic_more(&traffic, 100);
        in_child(clean_up);
        traffic_more(&traffic, 100);
    }
    traffic_stop(&traffic);
}

/* With a payload that is not of the traffic: the parent would notice. It may not get a block. */
static void try_to_send(void)
{
    CXPLAT_ROUTE route = route_of(traffic.client);
    CXPLAT_SEND_CONFIG config = {.Route = &route};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(traffic.client, &config);
    if (send != NULL) {
        CHECK(CxPlatSendDataAllocBuffer(send, 100) != NULL);
        CxPlatSocketSend(traffic.client, &route, send);
    }
}

static void use_everything_else(void)
{
    QUIC_ADDR address;
    CxPlatSocketGetLocalAddress(traffic.client, &address);
    CHECK(addr_port(&address) != 0);
    try_to_send();
    counters_now();
    CHECK_EQ(CxPlatDataPathResolveAddress(NULL, "127.0.0.1", &address), QUIC_STATUS_SUCCESS);
}

/* A TCP connection has a state that the child shares: its delete must not end it. */
static void child_may_delete_tcp(void)
{
    struct inbox listening, accepted, connecting;
    rig_open(&traffic.rig, 2);
    inbox_init(&listening, &traffic.rig);
    inbox_init(&accepted, &traffic.rig);
    inbox_init(&connecting, &traffic.rig);
    listening.accepting = &accepted;
    QUIC_ADDR any = addr("127.0.0.1", 0);
    CXPLAT_SOCKET *listener = rig_listener(&traffic.rig, &listening, &any);
    QUIC_ADDR remote = socket_local(listener);
    traffic.client = rig_tcp(&traffic.rig, &connecting, &remote);
    CHECK(inbox_wait(&connecting, INBOX_CONNECTED, 1));
    CHECK(inbox_wait(&listening, INBOX_ACCEPTED, 1));
    traffic.server = listening.accepted[0];
    in_child(delete_all);
    CXPLAT_ROUTE route = route_of(traffic.client);
    send_bytes(traffic.client, &route, "still there", 11);
    CHECK(inbox_wait(&accepted, INBOX_BYTES, 11));
    CHECK_EQ(inbox_count(&accepted, INBOX_DISCONNECTED), 0);
    rig_delete(traffic.client, &connecting);
    rig_delete(traffic.server, &accepted);
    rig_delete(listener, &listening);
    rig_close(&traffic.rig);
}

static void child_is_quiet(void)
{
    traffic_start(&traffic, 2);
    traffic_more(&traffic, 100);
    in_child(use_everything_else);
    traffic_more(&traffic, 1000);
    traffic_stop(&traffic);
}

static void end_by_exit(void)
{
    exit(0);
}

static void *exit_thread(void *unused)
{
    return unused;
}

/* The thread that forked has called Go, and ends: glibc runs the destructors of its keys. */
static void end_by_pthread_exit(void)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, exit_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    pthread_exit(NULL);
}

static void child_ends(void)
{
    traffic_start(&traffic, 2);
    for (int i = 0; i < 50; i++) {
        traffic_more(&traffic, 10);
        in_child(end_by_exit);
        in_child(end_by_pthread_exit);
    }
    traffic_stop(&traffic);
}

static void whole_life(void)
{
    struct traffic own = {.on_worker = NULL};
    traffic_start(&own, 2);
    traffic_more(&own, 100);
    traffic_stop(&own);
}

static void fork_before_init(void)
{
    in_child(whole_life);
    whole_life();
    pid_t early = fork(); /* inherits our runtime: refused, but its parent is not disturbed */
    if (early == 0) {
        traffic.rig.pool = host_pool_create(1, NULL);
        try_to_start();
        _exit(0);
    }
    CHECK_EQ(guest_wait_child(early, CHILD_MS), 0);
    whole_life();
}

/* ---- exec ---- */

static _Atomic bool churning;

/* Opens and deletes sockets without pause, so that an exec may come at any instruction of it. */
static void *churn(void *unused)
{
    QUIC_ADDR any = addr("127.0.0.1", 0);
    (void)unused;
    while (atomic_load(&churning)) {
        struct inbox in;
        inbox_init(&in, &traffic.rig);
        rig_delete(rig_udp(&traffic.rig, &in, &any, NULL), &in);
        rig_delete(rig_listener(&traffic.rig, &in, &any), &in);
        inbox_free(&in);
        CXPLAT_ADAPTER_ADDRESS *list = NULL;
        uint32_t count;
        CHECK_OK(CxPlatDataPathGetLocalAddresses(NULL, &list, &count));
        CxPlatFree(list, QUIC_POOL_DATAPATH_ADDRESSES);
    }
    return NULL;
}

static pthread_t start_churning(void)
{
    pthread_t thread;
    atomic_store(&churning, true);
    CHECK_EQ(pthread_create(&thread, NULL, churn, NULL), 0);
    return thread;
}

static void stop_churning(pthread_t thread)
{
    atomic_store(&churning, false);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static char self[4096]; /* this program */

static void by_exec(void)
{
    execl(self, self, "list", (char *)NULL);
    check_fail("exec: %s", strerror(errno));
}

static void by_spawn(void)
{
    pid_t pid;
    char *argv[] = {self, "list", NULL};
    CHECK_EQ(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
    CHECK_EQ(guest_wait_child(pid, CHILD_MS), 0);
}

static void by_vfork(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execl(self, self, "list", (char *)NULL);
        _exit(9);
    }
    CHECK_EQ(guest_wait_child(pid, CHILD_MS), 0);
}

static void by_system(void)
{
    char command[5000];
    snprintf(command, sizeof(command), "'%s' list", self);
    CHECK_EQ(system(command), 0);
}

static void exec_leaks_nothing(void)
{
    CHECK_EQ(close_range(3, ~0U, 0), 0); /* what the runner may have left us */
    traffic_start(&traffic, 2);
    pthread_t thread = start_churning();
    for (int i = 0; i < EXECS; i++) {
        in_child(by_exec);
        by_spawn();
        by_vfork();
        by_system();
        traffic_more(&traffic, 10);
    }
    stop_churning(thread);
    traffic_stop(&traffic);
}

static void list(void)
{
    static struct fd_set_of_process now, wanted = {.open = {true, true, true}};
    host_fds(&now);
    host_fds_print_new(&wanted, &now);
    for (int fd = 3; fd < HOST_MAX_FDS; fd++) {
        CHECK(!now.open[fd]);
    }
}

static void many_forks(void)
{
    traffic_start(&traffic, 2);
    pthread_t thread = start_churning();
    for (int i = 0; i < FORKS; i++) {
        in_child(delete_all);
    }
    stop_churning(thread);
    traffic_more(&traffic, 100);
    traffic_stop(&traffic);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(child_is_refused),   CASE(child_may_clean_up), CASE(child_may_delete_tcp),
        CASE(child_is_quiet),     CASE(child_ends),         CASE(fork_before_init),
        CASE(exec_leaks_nothing), CASE(many_forks),         CASE(list),
    };
    CHECK_EQ(argc, 2);
    CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    guest_network();
    guest_play(argv[1], cases, sizeof(cases) / sizeof(cases[0]));
    return 0;
}
