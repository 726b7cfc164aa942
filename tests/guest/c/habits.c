/* SPDX-License-Identifier: MIT */
/* habits.c - reads and compares signal actions. */
#define _GNU_SOURCE
#include "habits.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

void habits_note(struct habits *h)
{
    memset(h, 0, sizeof(*h));
    for (int s = 1; s <= HABITS_SIGNALS; s++) {
        CHECK_EQ(syscall(SYS_rt_sigaction, s, NULL, &h->action[s], sizeof(uint64_t)), 0);
    }
    CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &h->blocked, sizeof(h->blocked)), 0);
    CHECK_EQ(sigaltstack(NULL, &h->stack), 0);
}

uint64_t habits_changed(const struct habits *before, const struct habits *now)
{
    uint64_t set = 0;
    for (int s = 1; s <= HABITS_SIGNALS; s++) {
        const struct habits_action *a = &before->action[s], *b = &now->action[s];
        if (a->handler != b->handler || a->flags != b->flags || a->mask != b->mask) {
            set |= habits_bit(s);
        }
    }
    return set;
}

const char *habits_names(uint64_t set)
{
    static char text[512];
    size_t n = 0;
    text[0] = '\0';
    for (int s = 1; s <= HABITS_SIGNALS; s++) {
        const char *name = sigabbrev_np(s);
        if ((set & habits_bit(s)) == 0) {
            continue;
        }
        n += name != NULL ? (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? " " : "", name)
                          : (size_t)snprintf(text + n, sizeof(text) - n, "%s%d", n ? " " : "", s);
    }
    return n != 0 ? text : "none";
}
