/* SPDX-License-Identifier: MIT */
/* bench_ours.c - the program: receive, send, echo or micro through the archive. */
#include "ours.h"

#include "worker.h"

int main(int argc, char **argv)
{
    static const struct job jobs[] = {
        {"receive", ours_receive},
        {"send", ours_send},
        {"echo", ours_echo},
        {"micro", ours_micro},
    };
    struct options o;
    options_read(&o, argc, argv);
    stop_listen();
    return job_run(&o, jobs, sizeof(jobs) / sizeof(jobs[0]));
}
