/* SPDX-License-Identifier: MIT */
/*
 * signals.c - a host with signal handlers of its own, installed before or after the runtime starts.
 *
 *   signals SCENARIO before|after onstack|plain
 *
 * "plain" handlers have no SA_ONSTACK. Each scenario makes traffic with two workers and lets the
 * signal arrive on the main thread, on a thread that never called the archive, and on a worker
 * inside an up-call; then it ends the datapath, and the handler must still be there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "traffic.h"

enum { REPEAT = 20 };

static bool before_init;
static int stack_flag;
static struct traffic traffic;

typedef void handler_fn(int, siginfo_t *, void *);

static void install(int signal, handler_fn *handler)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | stack_flag};
    CHECK_EQ(sigaction(signal, &action, NULL), 0);
}

/* Starts the datapath, with the handler installed just before or just after. */
static void start_with(int signal, handler_fn *handler, void (*on_worker)(void *))
{
    if (before_init) {
        install(signal, handler);
    }
    traffic.on_worker = on_worker;
    rig_open(&traffic.rig, 2);
    if (!before_init) {
        install(signal, handler);
    }
    traffic_start_on(&traffic);
}

static void on_fresh_thread(void *(*run)(void *))
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, run, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void wait_for(_Atomic int *counter, int n)
{
    struct timespec deadline = host_deadline(HOST_DEADLINE_MS);
    while (atomic_load(counter) < n && host_remaining_ms(&deadline) > 0) {
        traffic_more(&traffic, 1);
    }
    CHECK(atomic_load(counter) >= n);
}

/* ---- SIGSEGV: a host that probes memory, and comes back by siglongjmp ---- */

static _Thread_local sigjmp_buf back;
static volatile char *guarded; /* a page that may not be read */
static _Atomic int faults_on_worker;

static void recover_from_fault(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    siglongjmp(back, info->si_addr == guarded ? 1 : 2);
}

static void fault_and_recover(void)
{
    int came_by = sigsetjmp(back, 1);
    if (came_by == 0) {
        (void)*guarded;
        check_fail("reading a guarded page did not fault");
    }
    CHECK_EQ(came_by, 1);
}

static void *fault_on_thread(void *unused)
{
    (void)unused;
    fault_and_recover();
    return NULL;
}

static void fault_on_worker(void *unused)
{
    (void)unused;
    fault_and_recover();
    atomic_fetch_add(&faults_on_worker, 1);
}

static void fault(void)
{
    guarded = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(guarded != MAP_FAILED);
    if (before_init) {
        install(SIGSEGV, recover_from_fault);
        fault_and_recover();
    }
    start_with(SIGSEGV, recover_from_fault, fault_on_worker);
    for (int i = 0; i < REPEAT; i++) {
        fault_and_recover();
        on_fresh_thread(fault_on_thread);
    }
    wait_for(&faults_on_worker, 1000);
    traffic_stop(&traffic);
    fault_and_recover();
}

/* ---- SIGPROF: a profiler at 1 kHz ---- */

static _Atomic int samples;

static void take_sample(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info, (void)context;
    volatile char scratch[4096]; /* what a profiler that walks the stack needs */
    for (size_t i = 0; i < sizeof(scratch); i += 64) {
        scratch[i] = (char)i;
    }
    atomic_fetch_add(&samples, 1);
}

static void profile_at(int microseconds)
{
    struct itimerval every = {{0, microseconds}, {0, microseconds}};
    CHECK_EQ(setitimer(ITIMER_PROF, &every, NULL), 0);
}

static void prof(void)
{
    start_with(SIGPROF, take_sample, NULL);
    profile_at(1000);
    wait_for(&samples, 500);
    traffic_stop(&traffic);
    int at_end = atomic_load(&samples);
    while (atomic_load(&samples) < at_end + 10) { /* burns the time that is measured */
    }
    profile_at(0);
    guest_say("samples: %d", atomic_load(&samples));
}

/* ---- any other signal, sent in three ways ---- */

static int awaited; /* the signal of this scenario */
static _Atomic int arrived;
static _Atomic int strangers; /* not sent by us */
static _Atomic int wanted_on_worker;

static void count_arrival(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    bool ours = info->si_code == SI_QUEUE && info->si_value.sival_int == awaited;
    atomic_fetch_add(ours ? &arrived : &strangers, 1);
}

/* To the calling thread, so that it has arrived on return. */
static void send_to_self(void)
{
    int n = atomic_load(&arrived);
    union sigval value = {.sival_int = awaited};
    CHECK_EQ(pthread_sigqueue(pthread_self(), awaited, value), 0);
    CHECK(atomic_load(&arrived) > n);
}

static void *send_on_thread(void *unused)
{
    (void)unused;
    send_to_self();
    return NULL;
}

static void send_on_worker(void *unused)
{
    (void)unused;
    if (atomic_load(&wanted_on_worker) > 0) {
        atomic_fetch_sub(&wanted_on_worker, 1);
        send_to_self();
    }
}

static void send_to_process(void)
{
    int n = atomic_load(&arrived);
    union sigval value = {.sival_int = awaited};
    CHECK_EQ(sigqueue(getpid(), awaited, value), 0);
    wait_for(&arrived, n + 1);
}

static void deliver(int signal)
{
    awaited = signal;
    start_with(signal, count_arrival, send_on_worker);
    for (int i = 0; i < REPEAT; i++) {
        send_to_self();
        on_fresh_thread(send_on_thread);
        send_to_process();
    }
    int n = atomic_load(&arrived);
    atomic_store(&wanted_on_worker, REPEAT);
    wait_for(&arrived, n + REPEAT);
    traffic_stop(&traffic);
    send_to_self();
    guest_say("signals of others: %d", atomic_load(&strangers));
}

static void urg(void)
{
    deliver(SIGURG);
}

static void usr1(void)
{
    deliver(SIGUSR1);
}

/* ---- SIGCHLD: a host with children ---- */

static _Atomic int children;

static void count_child(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    atomic_fetch_add(&children, info->si_code == CLD_EXITED);
}

static void one_child(int i)
{
    int n = atomic_load(&children), status;
    pid_t pid = fork();
    if (pid == 0) {
        char code[16] = {(char)('0' + i % 10)};
        execl("/bin/sh", "sh", "-c", "exit $0", code, (char *)NULL);
        _exit(99);
    }
    while (waitpid(pid, &status, 0) != pid) {
        CHECK_EQ(errno, EINTR);
    }
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), i % 10);
    wait_for(&children, n + 1);
}

static void chld(void)
{
    start_with(SIGCHLD, count_child, NULL);
    for (int i = 0; i < REPEAT; i++) {
        one_child(i);
    }
    traffic_stop(&traffic);
}

/* ---- SIGPIPE ---- */

static void write_to_closed(int fds[2])
{
    close(fds[0]);
    CHECK_EQ(write(fds[1], "x", 1), -1);
    CHECK_EQ(errno, EPIPE);
    close(fds[1]);
}

static void write_to_closed_pipe(void)
{
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    write_to_closed(fds);
}

static void write_to_closed_socket(void)
{
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    write_to_closed(fds);
}

static void count_pipe(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info, (void)context;
    atomic_fetch_add(&arrived, 1);
}

static void write_once(void *unused)
{
    (void)unused;
    if (atomic_exchange(&wanted_on_worker, 0) != 0) {
        write_to_closed_pipe();
        atomic_fetch_add(&children, 1); /* has come back */
    }
}

static void write_everywhere(void)
{
    write_to_closed_pipe();
    write_to_closed_socket();
    atomic_store(&wanted_on_worker, 1);
    wait_for(&children, 1);
}

/* A handler is called, once for each write. */
static void pipe_handler(void)
{
    start_with(SIGPIPE, count_pipe, write_once);
    write_everywhere();
    CHECK_EQ(atomic_load(&arrived), 3);
    traffic_stop(&traffic);
    write_to_closed_pipe();
    CHECK_EQ(atomic_load(&arrived), 4);
}

/* An ignored SIGPIPE stays ignored. */
static void pipe_ignored(void)
{
    if (before_init) {
        signal(SIGPIPE, SIG_IGN);
    }
    traffic.on_worker = write_once;
    traffic_start(&traffic, 2);
    if (!before_init) {
        signal(SIGPIPE, SIG_IGN);
    }
    write_everywhere();
    traffic_stop(&traffic);
    write_to_closed_pipe();
}

/* With the default action the host dies of it, as it would without us; the runner sees it. */
static void pipe_default(void)
{
    traffic_start(&traffic, 2);
    write_to_closed_pipe();
    check_fail("a write to a closed pipe did not end the process");
}

static void pipe_default_on_worker(void)
{
    atomic_store(&wanted_on_worker, 1);
    traffic.on_worker = write_once;
    traffic_start(&traffic, 2);
    wait_for(&children, 1);
    check_fail("a write to a closed pipe on a worker did not end the process");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(fault),        CASE(prof),         CASE(urg),
        CASE(usr1),         CASE(chld),         CASE(pipe_handler),
        CASE(pipe_ignored), CASE(pipe_default), CASE(pipe_default_on_worker),
    };
    CHECK_EQ(argc, 4);
    before_init = strcmp(argv[2], "before") == 0;
    stack_flag = strcmp(argv[3], "onstack") == 0 ? SA_ONSTACK : 0;
    guest_network();
    guest_play(argv[1], cases, sizeof(cases) / sizeof(cases[0]));
    return 0;
}
