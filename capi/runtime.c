/* SPDX-License-Identifier: MIT */
/*
 * runtime.c - the Go runtime as a guest in somebody else's process.
 *
 * A Go archive normally starts its runtime when the program is loaded: threads, a signal mask,
 * handlers, in every program that merely links it. Ours has that start hook taken out when the
 * archive is made (scripts/archive.sh), and starts here, at the first call that needs Go.
 *
 * After fork the child has one thread and a copy of a runtime whose threads are gone. Entering it
 * could wait for ever, so in such a child every function that would need Go refuses, and deletes
 * only free what the child can see.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "_cgo_export.h"
#include "copy.h"
#include "internal.h"

/* The entry that the loader would have called. Absent when the start hook is still in place. */
#if defined(__x86_64__)
#define MQX_GO_START _rt0_amd64_linux_lib
#elif defined(__aarch64__)
#define MQX_GO_START _rt0_arm64_linux_lib
#else
#error "msquicxdp supports x86-64 and aarch64"
#endif
extern void MQX_GO_START(int argc, char **argv) __attribute__((weak));

_Atomic bool mqx_forked;

/*
 * What Go means to do with each signal (runtime/sigtab_linux_generic.go). Before it starts we take from
 * it what is the host's: SIGPIPE and SIGURG get no handler of Go's, only SA_ONSTACK for one that the
 * host has, and nothing but what a fault raises is unblocked where the host has blocked it.
 */
enum { SIGNALS = 65, GO_SIGPANIC = 8, GO_SIGSETSTACK = 64, GO_SIGUNBLOCK = 128 };
extern struct go_signal {
    int32_t flags;
    const char *name;
    intptr_t name_length;
} go_signals[SIGNALS] __asm__("runtime.sigtable") __attribute__((weak));

static void leave_signals_to_host(void)
{
    for (int s = 1; go_signals != NULL && s < SIGNALS; s++) {
        if ((go_signals[s].flags & (GO_SIGPANIC | GO_SIGSETSTACK)) == 0) {
            go_signals[s].flags &= ~GO_SIGUNBLOCK;
        }
        if (s == SIGPIPE || s == SIGURG) {
            go_signals[s].flags |= GO_SIGSETSTACK;
        }
    }
}

/*
 * Go takes arguments, environment and auxiliary vector from one block, as a program does from the
 * kernel. It gets one of our own: the loader hands out the real one only in some C libraries, and
 * one setting must be ours. asyncpreemptoff keeps the runtime from interrupting the host's threads
 * with SIGURG: Go code here is never long, and in system calls a signal would only do harm.
 */
enum { MAX_AUXV = 8 };
static const unsigned long wanted_auxv[MAX_AUXV] = {
    AT_PAGESZ, AT_RANDOM, AT_SYSINFO_EHDR, AT_SECURE, AT_HWCAP, AT_HWCAP2, AT_CLKTCK, AT_PLATFORM,
};

static const char godebug_name[] = "GODEBUG=";
static const char godebug_ours[] = "asyncpreemptoff=1,containermaxprocs=0,updatemaxprocs=0";

/* GODEBUG as the host has it, with ours behind it: the last one counts. */
static char *make_godebug(const char *theirs)
{
    char *value;
    bool theirs_set = theirs != NULL && theirs[0] != '\0';
    int n = asprintf(
        &value, "%s%s%s%s", godebug_name, theirs_set ? theirs : "", theirs_set ? "," : "",
        godebug_ours);
    return n < 0 ? NULL : value;
}

static size_t count_environment(void)
{
    size_t n = 0;
    while (environ != NULL && environ[n] != NULL) {
        n++;
    }
    return n;
}

/* Copies, since the host may change or free its own. Returns the place behind the last, NULL if memory is short. */
static char **copy_environment(char **next, size_t variables)
{
    for (size_t i = 0; i < variables; i++) {
        if (strncmp(environ[i], godebug_name, sizeof(godebug_name) - 1) != 0 &&
            (*next++ = strdup(environ[i])) == NULL) {
            return NULL;
        }
    }
    *next = make_godebug(getenv("GODEBUG"));
    return *next == NULL ? NULL : next + 1;
}

/* The block, which Go points into for ever: argv and its NULL, environment and NULL, auxiliary vector. */
static char **make_arguments(void)
{
    size_t variables = count_environment();
    char **block = calloc(2 + variables + 2 + 2 * (MAX_AUXV + 1), sizeof(*block));
    char **next = block;
    if (block == NULL) {
        return NULL;
    }
    *next++ = program_invocation_name;
    *next++ = NULL;
    next = copy_environment(next, variables);
    if (next == NULL) {
        return NULL; /* out of memory: what was copied stays, a later attempt copies anew */
    }
    *next++ = NULL;
    for (int i = 0; i < MAX_AUXV; i++) {
        unsigned long value = getauxval(wanted_auxv[i]);
        if (value != 0) {
            *next++ = (char *)wanted_auxv[i];
            *next++ = (char *)value;
        }
    }
    return block;
}

/*
 * Starts the runtime with a coarse timer slack, which its first threads inherit and the monitor
 * keeps. It asks to be woken every 20 microseconds while threads come and go between C and Go.
 * Nothing here depends on it, and at that rate it would take time from the workers; with slack the
 * kernel wakes it together with its own timer tick. The others wait for other processes by timers.
 */
enum { TIMER_SLACK_NS = 20 * 1000 * 1000 };

/* The runtime ends the process when it finds no room for its two descriptors: look first. */
static bool has_room_for_descriptors(void)
{
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0) {
        return false;
    }
    close(pair[0]);
    close(pair[1]);
    return true;
}

/* Nor does it live without threads: as many as its start makes, all at once. */
enum { GO_THREADS = 8 };

static void *wait_for_release(void *held)
{
    pthread_mutex_lock(held);
    pthread_mutex_unlock(held);
    return NULL;
}

static bool has_room_for_threads(void)
{
    pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread[GO_THREADS];
    int made = 0;
    pthread_mutex_lock(&held);
    while (made < GO_THREADS && pthread_create(&thread[made], NULL, wait_for_release, &held) == 0) {
        made++;
    }
    pthread_mutex_unlock(&held);
    for (int i = 0; i < made; i++) {
        pthread_join(thread[i], NULL);
    }
    return made == GO_THREADS;
}

/* Nor without the address space in which it lays out its heap; little of it is ever memory. */
enum { GO_ADDRESS_SPACE = 1 << 30 };

static bool has_room_for_heap(void)
{
    void *room =
        mmap(NULL, GO_ADDRESS_SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) {
        return false;
    }
    munmap(room, GO_ADDRESS_SPACE);
    return true;
}

static bool start_go(void)
{
    if (MQX_GO_START == NULL) {
        return true; /* the loader has started it */
    }
    char **arguments = make_arguments();
    if (arguments == NULL) {
        return false;
    }
    leave_signals_to_host();
    int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    prctl(PR_SET_TIMERSLACK, (unsigned long)TIMER_SLACK_NS, 0, 0, 0);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* Go's threads inherit it: no signal is theirs */
    MQX_GO_START(1, arguments);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    /* Returns when the runtime is up, and our thread and its first ones have their slack. */
    mqxGoHello((unsigned long)(slack > 0 ? slack : 0));
    return true;
}

static void mark_forked(void)
{
    atomic_store(&mqx_forked, true);
}

/* A Go runtime cannot be unloaded: dlclose must leave the object that holds it in place. */
static void pin_object(void)
{
    Dl_info info;
    if (dladdr(&mqx_forked, &info) != 0 && info.dli_fname != NULL) {
        (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
    }
}

static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static bool started; /* the election is over; under start_lock */
static _Atomic bool ready;

static QUIC_STATUS start_locked(void)
{
    if (started) {
        return QUIC_STATUS_SUCCESS;
    }
    bool is_own;
    QUIC_STATUS status = mqx_copy_elect(&is_own);
    if (QUIC_FAILED(status)) {
        return status;
    }
    if (is_own) {
        if (!has_room_for_descriptors()) {
            return mqx_fail(
                (QUIC_STATUS)errno, "starting the Go runtime: no two file descriptors are left; "
                                    "raise the limit (ulimit -n)");
        }
        if (!has_room_for_threads()) {
            return mqx_fail(
                QUIC_STATUS_OUT_OF_MEMORY,
                "starting the Go runtime: %d threads cannot be made; raise the limit (ulimit -u, "
                "pids.max)",
                GO_THREADS);
        }
        if (!has_room_for_heap()) {
            return mqx_fail(
                QUIC_STATUS_OUT_OF_MEMORY, "starting the Go runtime: no GiB of address space is "
                                           "left; raise the limit (ulimit -v)");
        }
        if (pthread_atfork(NULL, NULL, mark_forked) != 0) {
            return mqx_fail(QUIC_STATUS_OUT_OF_MEMORY, "pthread_atfork: out of memory");
        }
        pin_object();
        if (!start_go()) {
            return mqx_fail(QUIC_STATUS_OUT_OF_MEMORY, "starting the Go runtime: out of memory");
        }
    }
    started = true;
    atomic_store(&ready, true);
    return QUIC_STATUS_SUCCESS;
}

QUIC_STATUS mqx_runtime_start(void)
{
    if (atomic_load(&mqx_forked)) {
        return mqx_fail(
            QUIC_STATUS_INVALID_STATE,
            "this process is a fork of one that had started msquicxdp: call exec, or fork before "
            "MsQuic is opened (docs/HOST.md)");
    }
    if (atomic_load(&ready)) {
        return QUIC_STATUS_SUCCESS;
    }
    pthread_mutex_lock(&start_lock);
    QUIC_STATUS status = start_locked();
    pthread_mutex_unlock(&start_lock);
    return status;
}
