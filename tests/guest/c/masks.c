/* SPDX-License-Identifier: MIT */
/*
 * masks.c - a host that blocks signals in all its threads, and one that has signal stacks.
 *
 *   signalfd        blocks its signals before anything else and reads them from a signalfd
 *   signalfd_late   the same, and the signals are blocked when the runtime has started: the
 *                   threads of Go take no signals
 *   worker_mask     what a host has blocked is blocked on its threads after they have called Go
 *   stack_kept      a thread's own signal stack stays in place
 *   stack_lent      a thread without one gets one of Go's, and loses it when it ends
 *   setxid          a host that drops privileges under load: the C library tells every thread by a
 *                   signal of its own, whose handler must run on the signal stack
 *   needs_onstack   shows the limit: a handler without SA_ONSTACK, installed after the runtime
 *                   has started, runs on the small stack of Go code
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "habits.h"
#include "traffic.h"

static struct traffic traffic;

static const int usual[] = {SIGHUP,  SIGINT,  SIGTERM, SIGUSR1, SIGUSR2,  SIGALRM,
                            SIGCHLD, SIGPIPE, SIGPROF, SIGURG,  SIGWINCH, SIGIO};
enum { USUAL = sizeof(usual) / sizeof(usual[0]), REPEAT = 20, NOBODY = 65534 };

static sigset_t block_usual(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < USUAL; i++) {
        sigaddset(&set, usual[i]);
    }
    sigaddset(&set, SIGRTMIN + 3);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    return set;
}

/* ---- signalfd ---- */

static void read_signal(int fd, int signal)
{
    struct signalfd_siginfo info;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, 2000) != 1) {
        check_fail(
            "SIG%s was sent, and the signalfd has nothing: another thread took it",
            sigabbrev_np(signal));
    }
    CHECK_EQ(read(fd, &info, sizeof(info)), sizeof(info));
    CHECK_EQ(info.ssi_signo, signal);
}

static void end_a_child(int fd)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    read_signal(fd, SIGCHLD);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

static void read_each(int fd)
{
    for (size_t i = 0; i < USUAL; i++) {
        CHECK_EQ(kill(getpid(), usual[i]), 0);
        read_signal(fd, usual[i]);
    }
    end_a_child(fd);
}

static void from_signalfd(void)
{
    sigset_t set = block_usual();
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    traffic_start(&traffic, 2);
    for (int round = 0; round < REPEAT; round++) {
        traffic_more(&traffic, 10);
        read_each(fd);
    }
    traffic_stop(&traffic);
}

static void signalfd_late(void)
{
    rig_open_external(&traffic.rig, 1);
    sigset_t set = block_usual();
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    for (int round = 0; round < REPEAT; round++) {
        read_each(fd);
    }
    rig_close(&traffic.rig);
}

/* ---- masks of the host's own threads ---- */

static _Atomic uint64_t mask_on_worker;

static void note_mask(void *unused)
{
    struct habits h;
    (void)unused;
    habits_note(&h);
    atomic_store(&mask_on_worker, h.blocked);
}

static void check_mask(const char *where, uint64_t want, uint64_t got)
{
    if ((want & ~got) != 0) {
        check_fail("on %s these are no longer blocked: %s", where, habits_names(want & ~got));
    }
    if ((got & ~want) != 0) {
        check_fail("on %s these have become blocked: %s", where, habits_names(got & ~want));
    }
}

static void worker_mask(void)
{
    struct habits before, now;
    block_usual();
    habits_note(&before);
    traffic.on_worker = note_mask;
    traffic_start(&traffic, 1);
    traffic_more(&traffic, 100);
    habits_note(&now);
    check_mask("the main thread", before.blocked, now.blocked);
    check_mask("a worker", before.blocked, atomic_load(&mask_on_worker));
    traffic_stop(&traffic);
}

/* ---- signal stacks ---- */

static stack_t stack_now(void)
{
    stack_t s;
    CHECK_EQ(sigaltstack(NULL, &s), 0);
    return s;
}

static void stack_kept(void)
{
    stack_t mine = {.ss_sp = malloc(65536), .ss_size = 65536};
    CHECK_EQ(sigaltstack(&mine, NULL), 0);
    traffic_start(&traffic, 1);
    traffic_more(&traffic, 100);
    CHECK(stack_now().ss_sp == mine.ss_sp);
    traffic_stop(&traffic);
    CHECK(stack_now().ss_sp == mine.ss_sp);
    CHECK_EQ(stack_now().ss_size, mine.ss_size);
}

static void stack_lent(void)
{
    CHECK_EQ(stack_now().ss_flags, SS_DISABLE);
    traffic_start(&traffic, 1);
    stack_t lent = stack_now();
    CHECK_EQ(lent.ss_flags, 0);
    guest_say("bytes of the signal stack lent: %zu", lent.ss_size);
    traffic_stop(&traffic);
}

/* ---- the C library's own signals ---- */

enum { SIGSETXID = 33 };

static void setxid(void)
{
    struct habits h;
    rig_open_external(&traffic.rig, 1); /* before the first thread, which installs the handler */
    rig_close(&traffic.rig);
    traffic_start(&traffic, 2);
    habits_note(&h);
    CHECK(h.action[SIGSETXID].handler != NULL);
    CHECK((h.action[SIGSETXID].flags & SA_ONSTACK) != 0);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(seteuid(i % 2 == 0 ? NOBODY : 0), 0);
    }
    traffic_more(&traffic, 1000);
    traffic_stop(&traffic);
}

/* ---- the limit ---- */

static _Thread_local uintptr_t stack_low, stack_high;

static void note_stack(void *unused)
{
    pthread_attr_t attr;
    void *low;
    size_t size;
    (void)unused;
    if (stack_high != 0) {
        return;
    }
    CHECK_EQ(pthread_getattr_np(pthread_self(), &attr), 0);
    pthread_attr_getstack(&attr, &low, &size);
    pthread_attr_destroy(&attr);
    stack_low = (uintptr_t)low;
    stack_high = stack_low + size;
}

static void look_at_stack(int signal)
{
    uintptr_t here = (uintptr_t)&signal;
    if (stack_high != 0 && (here < stack_low || here >= stack_high)) {
        guest_say("the handler runs on a stack that is not its thread's");
        _exit(0); /* that stack may have been too small for us: nothing can be relied on any more */
    }
}

static void needs_onstack(void)
{
    traffic.on_worker = note_stack;
    traffic_start(&traffic, 2);
    struct sigaction action = {.sa_handler = look_at_stack};
    CHECK_EQ(sigaction(SIGPROF, &action, NULL), 0);
    struct itimerval every = {{0, 1000}, {0, 1000}};
    CHECK_EQ(setitimer(ITIMER_PROF, &every, NULL), 0);
    struct timespec deadline = host_deadline(HOST_DEADLINE_MS);
    while (host_remaining_ms(&deadline) > 0) {
        traffic_more(&traffic, 1);
    }
    check_fail("the handler always ran on its thread's stack: docs/HOST.md promises too little");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"signalfd", from_signalfd},
        CASE(signalfd_late),
        CASE(worker_mask),
        CASE(stack_kept),
        CASE(stack_lent),
        CASE(setxid),
        CASE(needs_onstack),
    };
    CHECK_EQ(argc, 2);
    guest_network();
    guest_play(argv[1], cases, sizeof(cases) / sizeof(cases[0]));
    return 0;
}
