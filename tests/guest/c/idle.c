/* SPDX-License-Identifier: MIT */
/*
 * idle.c - a host that links the archive and makes no datapath.
 *
 *   getters   calls what may be called without one; nothing of Go may be seen in the process
 *   started   then makes a datapath and says what has become of the process
 *   asks      for the addresses of the host first, which needs Go too
 *   rest      with a datapath and sockets, but without traffic: costs no processor time
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>

#include "guest.h"
#include "habits.h"
#include "traffic.h"

enum { WORKER_FDS = 2 }; /* an epoll and an eventfd of the host's worker */

static struct habits at_start;
static struct guest_usage usage_at_start;

/* Runs before the constructors of the program, the archive's among them. */
static void before_constructors(void)
{
    habits_note(&at_start);
    usage_at_start = guest_usage();
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) =
    before_constructors;

static void call_what_needs_no_datapath(void)
{
    CXPLAT_ROUTE to = {0}, from = {.DatapathType = CXPLAT_DATAPATH_TYPE_NORMAL};
    struct msquicxdp_counters counters = {.size = sizeof(counters)};
    QUIC_ADDR address = {0};
    CHECK_EQ(msquicxdp_version(), MSQUICXDP_VERSION);
    CHECK_EQ(msquicxdp_get_counters(&counters), 0);
    CHECK_EQ(msquicxdp_set_log(NULL), 0);
    CHECK_EQ(msquicxdp_last_reason(NULL, 0), 0);
    QuicCopyRouteInfo(&to, &from);
    CxPlatUpdateRoute(&to, &from);
    CxPlatRecvDataReturn(NULL);
    CxPlatSocketDelete(NULL);
    CxPlatDataPathUninitialize(NULL);
    CHECK_EQ(
        CxPlatDataPathInitialize(0, NULL, NULL, NULL, NULL, NULL), QUIC_STATUS_INVALID_PARAMETER);
    CHECK_EQ(CxPlatDataPathResolveAddress(NULL, "127.0.0.1", &address), QUIC_STATUS_SUCCESS);
}

static void getters(void)
{
    struct habits now;
    call_what_needs_no_datapath();
    struct guest_usage usage = guest_usage();
    CHECK_EQ(usage.threads, 1);
    CHECK_EQ(usage_at_start.threads, 1);
    CHECK_EQ(usage.fds, usage_at_start.fds);
    habits_note(&now);
    uint64_t changed = habits_changed(&at_start, &now);
    if (changed != 0) {
        check_fail("signal actions changed: %s", habits_names(changed));
    }
    CHECK_EQ(now.blocked, at_start.blocked);
    CHECK_EQ(now.stack.ss_flags, at_start.stack.ss_flags);
}

static void *nothing(void *unused)
{
    return unused;
}

/* What a fault raises: Go turns its own into a status of the call, and passes on all others. */
static void check_handlers(const struct habits *before, const struct habits *now)
{
    uint64_t ours = habits_bit(SIGSEGV) | habits_bit(SIGBUS) | habits_bit(SIGFPE);
    uint64_t changed = habits_changed(before, now);
    guest_say("handlers: %s", habits_names(changed));
    if (changed != ours) {
        check_fail("signal actions changed: %s", habits_names(changed));
    }
}

enum { GO_THREADS_ON_TIME = 4 };

/* How many threads have timers that are not late by milliseconds. */
static int threads_on_time(void)
{
    int on_time = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        char path[sizeof(task->d_name) + 32];
        unsigned long slack = 0;
        (void)snprintf(path, sizeof(path), "/proc/%s/timerslack_ns", task->d_name);
        FILE *file = fopen(path, "re");
        if (file != NULL) {
            on_time += fscanf(file, "%lu", &slack) == 1 && slack < 1000000;
            (void)fclose(file);
        }
    }
    (void)closedir(tasks);
    return on_time;
}

static void started(void)
{
    struct habits before, now;
    struct rig rig;
    pthread_t thread; /* making one installs a handler of the C library's */
    CHECK_EQ(pthread_create(&thread, NULL, nothing, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    int timer_slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    habits_note(&before);
    struct guest_usage without = guest_usage();
    rig_open_external(&rig, 1);
    struct guest_usage with = guest_usage();
    habits_note(&now);
    check_handlers(&before, &now);
    CHECK_EQ(now.blocked, before.blocked);
    CHECK_EQ(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), timer_slack);
    CHECK(threads_on_time() >= 1 + GO_THREADS_ON_TIME);
    CHECK_LE(with.threads, 1 + guest_go_threads(1));
    CHECK_LE(with.fds, without.fds + WORKER_FDS + GUEST_GO_FDS);
    guest_say("threads: %d", with.threads - without.threads);
    guest_say("descriptors: %d", with.fds - without.fds - WORKER_FDS);
    guest_say("resident: %ld KiB", with.resident_kb - without.resident_kb);
    guest_say("virtual: %ld KiB", with.virtual_kb - without.virtual_kb);
    rig_close(&rig);
}

static void asks(void)
{
    CXPLAT_ADAPTER_ADDRESS *list = NULL;
    uint32_t count;
    CHECK_OK(CxPlatDataPathGetLocalAddresses(NULL, &list, &count));
    CHECK(count > 0);
    CxPlatFree(list, QUIC_POOL_DATAPATH_ADDRESSES);
    CHECK(guest_usage().threads > 1);
}

static long cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (long)(t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

static void rest(void)
{
    struct traffic t = {.on_worker = NULL};
    guest_network();
    traffic_start(&t, 2);
    traffic_more(&t, 1000);
    atomic_store(&t.quiet, true);
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL); /* Go lets go of its processors */
    long before = cpu_ms();
    nanosleep(&(struct timespec){.tv_sec = 2}, NULL); /* time itself is measured */
    long used = cpu_ms() - before;
    guest_say("processor time of two idle seconds: %ld ms", used);
    CHECK_LE(used, 20);
    traffic_stop(&t);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {CASE(getters), CASE(started), CASE(asks), CASE(rest)};
    CHECK_EQ(argc, 2);
    guest_play(argv[1], cases, sizeof(cases) / sizeof(cases[0]));
    return 0;
}
