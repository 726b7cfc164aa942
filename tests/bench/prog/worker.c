/* SPDX-License-Identifier: MIT */
/* worker.c - affinity and signals. */
#include "worker.h"

#include <sched.h>
#include <signal.h>

#include "fail.h"

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

void stop_listen(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: waits end at once */
    must(sigaction(SIGTERM, &action, NULL) == 0);
    must(sigaction(SIGINT, &action, NULL) == 0);
}

bool stop_wanted(void)
{
    return stopped != 0;
}

void worker_pin(const struct options *o)
{
    if (o->cpu == 0) {
        return;
    }
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(o->cpu - 1, &set);
    must(sched_setaffinity(0, sizeof(set), &set) == 0);
}
