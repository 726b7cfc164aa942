/* SPDX-License-Identifier: MIT */
/*
 * syscalls.h - how many system calls the calling thread makes, as the kernel counts them.
 *
 * It takes tracefs in its usual place, and makes every system call of the machine slower meanwhile.
 */
#ifndef BENCH_SYSCALLS_H
#define BENCH_SYSCALLS_H

#include <stdint.h>

/* Begins to count. -1: this kernel does not. */
int syscalls_open(void);

/* What has been counted; 0 of -1. */
uint64_t syscalls_read(int fd);

#endif
