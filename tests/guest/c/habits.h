/* SPDX-License-Identifier: MIT */
/* habits.h - what a host has set up for signals, kept to be compared with later. */
#ifndef GUEST_HABITS_H
#define GUEST_HABITS_H

#include <signal.h>
#include <stdint.h>

enum { HABITS_SIGNALS = 64 };

/* As the kernel has it: the C library's sigaction() hides signals 32 and 33. */
struct habits_action {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

struct habits {
    struct habits_action action[HABITS_SIGNALS + 1];
    uint64_t blocked; /* by the calling thread; bit n-1 is signal n */
    stack_t stack;    /* the calling thread's alternate one */
};

void habits_note(struct habits *h);

/* The signals whose handler, flags or mask differ, as a set of bits. */
uint64_t habits_changed(const struct habits *before, const struct habits *now);

/* "SEGV PIPE", or "none". */
const char *habits_names(uint64_t set);

static inline uint64_t habits_bit(int signal)
{
    return UINT64_C(1) << (signal - 1);
}

#endif
