/* SPDX-License-Identifier: MIT */
/* syscalls.c - a trace point of the kernel as a counter. */
#include "syscalls.h"

#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char trace_point[] = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id";

int syscalls_open(void)
{
    unsigned number = 0;
    FILE *f = fopen(trace_point, "re");
    if (f == NULL) {
        return -1;
    }
    int found = fscanf(f, "%u", &number);
    fclose(f);
    struct perf_event_attr a = {
        .type = PERF_TYPE_TRACEPOINT, .size = sizeof(a), .config = number, .sample_period = 0};
    return found == 1 ? (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, PERF_FLAG_FD_CLOEXEC) : -1;
}

uint64_t syscalls_read(int fd)
{
    uint64_t count = 0;
    return fd >= 0 && read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}
