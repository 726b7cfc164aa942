/* SPDX-License-Identifier: MIT */
/*
 * pid1.c - a host that is the first process of a container: process 1 of a pid namespace.
 *
 * The kernel gives process 1 no signal for which it has no handler, not even one that it raises
 * itself; only a fault, or SIGKILL from outside, ends it. The runner checks how each scenario ends:
 *
 *   returns           traffic, then main returns 42
 *   exits_on_worker   exit(43) inside an up-call
 *   without_proc      the same as `returns`, and /proc is not mounted
 *   reaps             children that have lost their parent are the host's to wait for: returns 44
 *   term_ignored      SIGTERM without a handler changes nothing: returns 45
 *   term_handled      the host's handler gets it: returns 46
 *   aborts            abort() ends it
 *   faults            a wild read ends it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "traffic.h"

static struct traffic traffic;
static int code;

static void mount_proc(void)
{
    CHECK_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    CHECK_EQ(mount("proc", "/proc", "proc", 0, NULL), 0);
}

static void start(void)
{
    traffic_start(&traffic, 2);
    traffic_more(&traffic, 100);
}

static void returns(void)
{
    start();
    traffic_stop(&traffic);
    code = 42;
}

static void exit_on_worker(void *unused)
{
    (void)unused;
    exit(43);
}

static void exits_on_worker(void)
{
    traffic.on_worker = exit_on_worker;
    traffic_start(&traffic, 2);
    for (;;) {
        pause();
    }
}

static void without_proc(void)
{
    CHECK_EQ(umount2("/proc", MNT_DETACH), 0);
    returns();
}

/* A child ends at once and leaves a grandchild behind, whose parent is now this process. */
static void leave_an_orphan(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(fork() == 0 ? 7 : 0);
    }
    int status, left = 2;
    while (left > 0) {
        pid_t ended = waitpid(-1, &status, 0);
        CHECK(ended > 0);
        CHECK_EQ(WEXITSTATUS(status), ended == pid ? 0 : 7);
        left--;
    }
}

static void reaps(void)
{
    start();
    for (int i = 0; i < 20; i++) {
        leave_an_orphan();
        traffic_more(&traffic, 10);
    }
    traffic_stop(&traffic);
    code = 44;
}

static void term_ignored(void)
{
    start();
    CHECK_EQ(kill(getpid(), SIGTERM), 0);
    traffic_more(&traffic, 100);
    traffic_stop(&traffic);
    code = 45;
}

static void set_code(int signal)
{
    code = signal == SIGTERM ? 46 : 1;
}

static void term_handled(void)
{
    struct sigaction action = {.sa_handler = set_code, .sa_flags = SA_ONSTACK};
    CHECK_EQ(sigaction(SIGTERM, &action, NULL), 0);
    start();
    CHECK_EQ(raise(SIGTERM), 0);
    traffic_stop(&traffic);
}

static void aborts(void)
{
    start();
    abort();
}

static void faults(void)
{
    start();
    *(volatile char *)(uintptr_t)getpid() = 0; /* address 1 */
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(returns),      CASE(exits_on_worker), CASE(without_proc), CASE(reaps),
        CASE(term_ignored), CASE(term_handled),    CASE(aborts),       CASE(faults),
    };
    CHECK_EQ(argc, 2);
    CHECK_EQ(getpid(), 1);
    mount_proc();
    guest_network();
    guest_play(argv[1], cases, sizeof(cases) / sizeof(cases[0]));
    return code;
}
