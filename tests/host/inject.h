/* SPDX-License-Identifier: MIT */
/*
 * inject.h - system calls that fail, or answer, as the test wants.
 *
 * Work runs on a thread of its own under a seccomp filter that asks the calling thread what one
 * system call is to do. So the kernel's rarer answers can be had at will, from code that cannot be
 * linked against (Go makes its system calls itself).
 *
 * A thread that the Go runtime starts while it is on that thread has the filter for ever. So only
 * non-blocking calls (MSG_DONTWAIT) are asked about, which are the archive's, never the runtime's.
 */
#ifndef HOST_INJECT_H
#define HOST_INJECT_H

#include <stdbool.h>
#include <stdint.h>

/* Let the kernel do it. Any other answer is what the system call returns; -EAGAIN is an error. */
enum { INJECT_NOTHING = INT32_MIN };

/*
 * Decides about one call with these arguments, which are pointers into this very process. The
 * calling thread waits meanwhile, so it may write to what they point to.
 */
typedef int64_t inject_fn(void *context, const uint64_t args[6]);

/* SYS_sendmsg or SYS_recvmmsg. FALSE, and nothing has run, when the kernel has no such filters. */
bool inject_run(
    int system_call, inject_fn *decide, void *context, void (*work)(void *arg), void *arg);

#endif
