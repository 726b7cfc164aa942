/* SPDX-License-Identifier: MIT */
/*
 * guest.h - the ground of the guest programs: hosts that hold the archive, and look at what it does
 * to them.
 *
 * Each program has a main of its own and plays one kind of host; its first argument names the
 * scenario. It ends with 0 when all that it expected held, else with GUEST_FAILED after a line on
 * stderr. The Go runner in tests/guest gives it a network namespace and a deadline. Unlike tests/c
 * it has no watchdog thread, no counting allocator and no second exec: threads, signals and
 * descriptors of the process are what is tested.
 *
 * It defines the checks that tests/host uses (check.h), so that a broken promise found there ends
 * the program too, and CxPlatAlloc as MsQuic has it: calloc and free, which are safe after fork.
 */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/check.h"

enum { GUEST_FAILED = 3 };

/* Brings lo up: the runner has put the process into an empty network namespace. */
void guest_network(void);

/* Runs the scenario of that name. */
void guest_play(const char *name, const struct check_case *cases, size_t count);

/* A line that the runner shows and may read. */
void guest_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a process costs, from /proc/self. */
struct guest_usage {
    int threads;
    int fds;
    int maps;         /* lines of maps */
    long resident_kb; /* VmRSS */
    long virtual_kb;  /* VmSize */
};

struct guest_usage guest_usage(void);

/*
 * The most that the archive may have of what it needs: threads of Go's when pools have had up to so
 * many workers, and descriptors of its own (an epoll and an eventfd).
 */
enum { GUEST_GO_FDS = 2 };
int guest_go_threads(int workers);

/* Waits until there are at most n threads: one that has ended is still listed for a moment. */
bool guest_wait_threads(int n);

/* Waits for a child and returns its exit status, 128 + signal, or -1 when the deadline kills it. */
int guest_wait_child(int pid, unsigned ms);

#endif
