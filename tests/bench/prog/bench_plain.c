/* SPDX-License-Identifier: MIT */
/* bench_plain.c - the program: receive, send or echo over bare sockets. */
#include "plain.h"

#include "worker.h"

int main(int argc, char **argv)
{
    static const struct job jobs[] = {
        {"receive", plain_receive}, {"send", plain_send}, {"echo", plain_echo}};
    struct options o;
    options_read(&o, argc, argv);
    stop_listen();
    worker_pin(&o);
    return job_run(&o, jobs, sizeof(jobs) / sizeof(jobs[0]));
}
