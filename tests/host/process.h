/* SPDX-License-Identifier: MIT */
/* process.h - what this process has open, and how many threads it runs. */
#ifndef HOST_PROCESS_H
#define HOST_PROCESS_H

#include <stdbool.h>

enum { HOST_MAX_FDS = 4096 };

/* The open descriptors, as a set. The one that reads the list is not in it. */
struct fd_set_of_process {
    bool open[HOST_MAX_FDS];
    int count;
};

void host_fds(struct fd_set_of_process *set);
int host_fd_count(void);
int host_thread_count(void);

/* The base of the state directory. */
const char *host_state_dir(void);

/* Prints to stderr which descriptors are in `now` and were not in `before`. */
void host_fds_print_new(
    const struct fd_set_of_process *before, const struct fd_set_of_process *now);

#endif
