/* SPDX-License-Identifier: MIT */
/* peer.c - the program: flood, sink or ping. */
#include "peer.h"

#include "worker.h"

int main(int argc, char **argv)
{
    static const struct job jobs[] = {
        {"flood", peer_flood}, {"sink", peer_sink}, {"ping", peer_ping}};
    struct options o;
    options_read(&o, argc, argv);
    stop_listen();
    worker_pin(&o);
    return job_run(&o, jobs, sizeof(jobs) / sizeof(jobs[0]));
}
