/* SPDX-License-Identifier: MIT */
/* process.c - reads /proc/self. */
#include "host/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void host_fds(struct fd_set_of_process *set)
{
    memset(set, 0, sizeof(*set));
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        int fd = atoi(e->d_name);
        if (e->d_name[0] != '.' && fd != dirfd(dir) && fd < HOST_MAX_FDS) {
            set->open[fd] = true;
            set->count++;
        }
    }
    closedir(dir);
}

int host_fd_count(void)
{
    struct fd_set_of_process set;
    host_fds(&set);
    return set.count;
}

int host_thread_count(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    if (dir == NULL) {
        return -1;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        n += e->d_name[0] != '.';
    }
    closedir(dir);
    return n;
}

const char *host_state_dir(void)
{
    const char *named = getenv("MSQUICXDP_STATE_DIR");
    return named != NULL && *named != '\0' ? named : "/run/msquicxdp";
}

void host_fds_print_new(const struct fd_set_of_process *before, const struct fd_set_of_process *now)
{
    for (int fd = 0; fd < HOST_MAX_FDS; fd++) {
        if (!now->open[fd] || before->open[fd]) {
            continue;
        }
        char path[64], target[128] = "";
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        fprintf(stderr, "    open: descriptor %d -> %s\n", fd, target);
    }
}
