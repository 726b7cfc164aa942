/* SPDX-License-Identifier: MIT */
/*
 * heap.h - counts what C code of the whole process asks of malloc, the archive and libc included.
 *
 * Under a sanitizer malloc is the sanitizer's: then nothing is counted and heap_counts is FALSE.
 */
#ifndef HOST_HEAP_H
#define HOST_HEAP_H

#include <stdbool.h>
#include <stdint.h>

bool heap_counts(void);
uint64_t heap_allocations(void);

#endif
