/* SPDX-License-Identifier: MIT */
/*
 * limits.c - a host that runs out of what the kernel gives, before or after the runtime starts.
 *
 *   no_descriptors         none left: the first datapath fails with a status; with room it works
 *   no_descriptors_later   none left afterwards: sockets fail with a status, traffic goes on
 *   no_threads             none may be made: the first datapath fails with a status; later it works
 *   no_threads_later       none may be made afterwards: traffic goes on
 *   address_space          512 MiB: the first datapath fails with a status; with 2 GiB it works
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "guest.h"
#include "traffic.h"

enum { NOBODY = 65534, ROUNDS = 5000 };

static struct traffic traffic;

static struct rlimit limit_to(int resource, rlim_t most)
{
    struct rlimit before, now;
    CHECK_EQ(getrlimit(resource, &before), 0);
    now = (struct rlimit){.rlim_cur = most, .rlim_max = before.rlim_max};
    CHECK_EQ(setrlimit(resource, &now), 0);
    return before;
}

/* The first datapath, on a pool that is there already. */
static QUIC_STATUS try_to_start(void)
{
    CXPLAT_DATAPATH *datapath = NULL;
    QUIC_STATUS status =
        CxPlatDataPathInitialize(0, &inbox_udp, NULL, traffic.rig.pool, NULL, &datapath);
    if (datapath != NULL) {
        CxPlatDataPathUninitialize(datapath);
    }
    return status;
}

static void check_refused_with_reason(QUIC_STATUS status)
{
    char reason[512];
    msquicxdp_last_reason(reason, sizeof(reason));
    guest_say("status %d: %s", (int)status, reason);
    CHECK(QUIC_FAILED(status));
    CHECK(reason[0] != '\0');
}

static void work_as_usual(void)
{
    traffic_start(&traffic, 2);
    traffic_more(&traffic, ROUNDS);
    traffic_stop(&traffic);
}

/* ---- descriptors ---- */

static int fill_descriptors(void)
{
    int fd, last = -1;
    while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
        last = fd;
    }
    CHECK_EQ(errno, EMFILE);
    return last;
}

static void no_descriptors(void)
{
    traffic.rig.pool = host_pool_create(1, NULL);
    struct rlimit before = limit_to(RLIMIT_NOFILE, 32);
    fill_descriptors();
    check_refused_with_reason(try_to_start());
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    work_as_usual();
}

static void no_descriptors_later(void)
{
    limit_to(RLIMIT_NOFILE, 64);
    traffic_start(&traffic, 2);
    int last = fill_descriptors();
    for (int i = 0; i < 200; i++) {
        CXPLAT_SOCKET *socket = NULL;
        QUIC_ADDR any = addr("127.0.0.1", 0);
        CXPLAT_UDP_CONFIG config = {.LocalAddress = &any, .CallbackContext = &traffic.client_in};
        CHECK_EQ(CxPlatSocketCreateUdp(traffic.rig.datapath, &config, &socket), EMFILE);
        traffic_more(&traffic, 100);
    }
    close(last);
    traffic_more(&traffic, 100);
    traffic_stop(&traffic);
}

/* ---- threads ---- */

static void *nothing(void *unused)
{
    return unused;
}

/* Only for others than root there is such a limit. */
static struct rlimit forbid_threads(void)
{
    pthread_t thread;
    CHECK_EQ(setresuid(NOBODY, NOBODY, NOBODY), 0);
    struct rlimit before = limit_to(RLIMIT_NPROC, 0);
    CHECK_EQ(pthread_create(&thread, NULL, nothing, NULL), EAGAIN);
    return before;
}

static void no_threads(void)
{
    traffic.rig.pool = host_pool_create(1, NULL);
    struct rlimit before = forbid_threads();
    check_refused_with_reason(try_to_start());
    CHECK_EQ(setrlimit(RLIMIT_NPROC, &before), 0);
    work_as_usual();
}

static void no_threads_later(void)
{
    traffic_start(&traffic, 2);
    forbid_threads();
    for (int i = 0; i < 100; i++) {
        CXPLAT_ADAPTER_ADDRESS *list = NULL;
        uint32_t count;
        CHECK_OK(CxPlatDataPathGetLocalAddresses(NULL, &list, &count));
        CxPlatFree(list, QUIC_POOL_DATAPATH_ADDRESSES);
        traffic_more(&traffic, ROUNDS);
    }
    traffic_stop(&traffic);
}

/* ---- address space ---- */

static void address_space(void)
{
    traffic.rig.pool = host_pool_create(1, NULL);
    struct rlimit before = limit_to(RLIMIT_AS, (rlim_t)512 << 20);
    check_refused_with_reason(try_to_start());
    CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
    limit_to(RLIMIT_AS, (rlim_t)2048 << 20);
    work_as_usual();
    guest_say("virtual: %ld KiB", guest_usage().virtual_kb);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(no_descriptors),   CASE(no_descriptors_later), CASE(no_threads),
        CASE(no_threads_later), CASE(address_space),
    };
    CHECK_EQ(argc, 2);
    guest_network();
    guest_play(argv[1], cases, sizeof(cases) / sizeof(cases[0]));
    return 0;
}
