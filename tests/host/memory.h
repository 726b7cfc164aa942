/* SPDX-License-Identifier: MIT */
/*
 * memory.h - CxPlatAlloc and CxPlatFree of the host: counted, checked, and failing on demand.
 *
 * Every live allocation is known with its tag. Freeing with another tag, twice, or what was never
 * allocated is a fault that host_memory_faults counts and stderr names. What is freed is
 * overwritten.
 */
#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Live allocations: all, or those with a tag. */
size_t host_memory_live(void);
size_t host_memory_live_tag(uint32_t tag);

/* Allocations ever made. */
uint64_t host_memory_made(void);

/* Wrong frees since the program began. */
unsigned host_memory_faults(void);

/* Waits until no more than `live` allocations are left; FALSE when the deadline comes first. */
bool host_memory_wait_live(size_t live);

/* Prints the live allocations by tag to stderr. */
void host_memory_print(void);

/*
 * Failure injection. A plan counts allocations from the moment it is made, of all threads or of the
 * calling one, and fails every k-th, or the n-th alone (1 is the next). host_fail_off removes the
 * plan and returns how many allocations it has failed.
 */
enum host_fail_who { HOST_ALL_THREADS, HOST_THIS_THREAD };

void host_fail_every(enum host_fail_who who, unsigned k);
void host_fail_nth(enum host_fail_who who, unsigned n);
unsigned host_fail_off(enum host_fail_who who);

#endif
