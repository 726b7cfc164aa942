/* SPDX-License-Identifier: MIT */
/* guest.c - checks that end the program, the allocator, and what /proc/self tells. */
#define _GNU_SOURCE
#include "guest.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/link.h"
#include "host/process.h"
#include "host/wait.h"
#include "msquicxdp/cxplat.h"

/* ---- checks, see host/check.h ---- */

void check_fail(const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    dprintf(STDERR_FILENO, "FAIL: %s\n", text);
    _exit(GUEST_FAILED);
}

bool check_that(bool holds, const char *text, const char *file, int line)
{
    if (!holds) {
        check_fail("%s:%d: %s does not hold", file, line, text);
    }
    return holds;
}

bool check_equal(intmax_t got, intmax_t want, const char *text, const char *file, int line)
{
    if (got != want) {
        check_fail("%s:%d: %s: got %jd, expected %jd", file, line, text, got, want);
    }
    return got == want;
}

bool check_at_most(intmax_t got, intmax_t most, const char *text, const char *file, int line)
{
    if (got > most) {
        check_fail("%s:%d: %s: got %jd, expected at most %jd", file, line, text, got, most);
    }
    return got <= most;
}

void check_keep_descriptors(void)
{
    /* nobody counts them behind a guest's back */
}

unsigned check_failures(void)
{
    return 0; /* the first one has ended the program */
}

void guest_play(const char *name, const struct check_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(cases[i].name, name) == 0) {
            cases[i].run();
            return;
        }
    }
    check_fail("there is no scenario %s", name);
}

void guest_say(const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text) - 1, format, args);
    va_end(args);
    text[n] = '\n';
    if (write(STDOUT_FILENO, text, (size_t)n + 1) < 0) {
        _exit(GUEST_FAILED);
    }
}

/* ---- the platform's allocator ---- */

void *CxPlatAlloc(size_t ByteCount, uint32_t Tag)
{
    (void)Tag;
    return calloc(1, ByteCount);
}

void CxPlatFree(void *Mem, uint32_t Tag)
{
    (void)Tag;
    free(Mem);
}

/* ---- the process ---- */

void guest_network(void)
{
    if (!link_up("lo")) {
        check_fail("bringing lo up: %s", strerror(errno));
    }
}

static long status_kb(const char *name)
{
    char line[200];
    long kb = -1;
    FILE *f = fopen("/proc/self/status", "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kb = atol(line + strlen(name));
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return kb;
}

static int count_lines(const char *path)
{
    int n = 0;
    FILE *f = fopen(path, "re");
    for (int c = 0; f != NULL && c != EOF; c = fgetc(f)) {
        n += c == '\n';
    }
    if (f != NULL) {
        fclose(f);
    }
    return n;
}

struct guest_usage guest_usage(void)
{
    return (struct guest_usage){
        .threads = host_thread_count(),
        .fds = host_fd_count(),
        .maps = count_lines("/proc/self/maps"),
        .resident_kb = status_kb("VmRSS:"),
        .virtual_kb = status_kb("VmSize:"),
    };
}

/* A thread for each of Go's processors (datapath.Reserve), and a few of the runtime's own. */
int guest_go_threads(int workers)
{
    int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return 4 * (workers > cpus ? workers : cpus) + 4 + 4;
}

bool guest_wait_threads(int n)
{
    struct timespec deadline = host_deadline(HOST_DEADLINE_MS);
    while (host_thread_count() > n && host_remaining_ms(&deadline) > 0) {
        poll(NULL, 0, 1); /* the kernel tells nobody when it takes a detached thread off the list */
    }
    return host_thread_count() <= n;
}

int guest_wait_child(int pid, unsigned ms)
{
    int status = 0;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd child = {.fd = fd, .events = POLLIN};
    struct timespec deadline = host_deadline(ms);
    while (poll(&child, 1, host_remaining_ms(&deadline)) < 0 && errno == EINTR) {
    }
    close(fd);
    if ((child.revents & POLLIN) == 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return -1;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
