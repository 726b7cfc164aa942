/* SPDX-License-Identifier: MIT */
/* bench_xdp_plain.c - the program: AF_XDP by system calls alone, as `plain` and as the peer. */
#include "worker.h"
#include "xdp.h"

int main(int argc, char **argv)
{
    static const struct job jobs[] = {
        {"receive", xdp_receive}, {"send", xdp_send},    {"echo", xdp_echo},
        {"flood", xdp_send},      {"sink", xdp_swallow}, {"ping", xdp_ping},
    };
    struct options o;
    options_read(&o, argc, argv);
    stop_listen();
    worker_pin(&o);
    return job_run(&o, jobs, sizeof(jobs) / sizeof(jobs[0]));
}
