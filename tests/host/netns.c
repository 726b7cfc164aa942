/* SPDX-License-Identifier: MIT */
/* netns.c - unshare, execute again, bring lo up. */
#define _GNU_SOURCE
#include "host/netns.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/link.h"

static const char marker[] = "MSQUICXDP_TEST_NETNS";

static const char *describe(const char *step)
{
    static char text[160];
    snprintf(
        text, sizeof(text), "%s: %s%s", step, strerror(errno),
        geteuid() != 0 ? " (run as root)" : "");
    return text;
}

static const char *leave_host(char **argv)
{
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
        return describe("unshare(CLONE_NEWNET | CLONE_NEWNS)");
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return describe("mount(/, MS_PRIVATE)");
    }
    setenv(marker, "1", 1);
    execv("/proc/self/exe", argv);
    return describe("execv(/proc/self/exe)");
}

bool netns_keep_order_on_lo(void)
{
    static bool done;
    if (done) {
        return true;
    }
    if (mount("sysfs", "/sys", "sysfs", 0, NULL) != 0) { /* this namespace's */
        return false;
    }
    FILE *f = fopen("/sys/class/net/lo/queues/rx-0/rps_cpus", "w");
    if (f == NULL) {
        return false;
    }
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    fprintf(f, "%x", cpus >= 32 ? ~0u : (1u << cpus) - 1);
    done = fclose(f) == 0;
    return done;
}

const char *netns_enter(char **argv)
{
    if (getenv(marker) == NULL) {
        return leave_host(argv);
    }
    unsetenv(marker);
    return link_up("lo") ? NULL : describe("bringing lo up");
}

bool netns_replace_file(const char *path, const char *text)
{
    char name[] = "/tmp/msquicxdp-test-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0) {
        return false;
    }
    size_t length = strlen(text);
    umount2(path, MNT_DETACH); /* what an earlier call has put there */
    bool ok = write(fd, text, length) == (ssize_t)length && fchmod(fd, 0644) == 0 &&
              mount(name, path, NULL, MS_BIND, NULL) == 0;
    close(fd);
    unlink(name); /* the mount keeps it */
    return ok;
}
