/* SPDX-License-Identifier: MIT */
/*
 * server.h - the server: a worker pool, a datapath with one listening socket, and a partition for
 * each worker.
 */
#ifndef DEMO_SERVER_H
#define DEMO_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "host/pool.h"
#include "host/wait.h"
#include "options.h"
#include "owners.h"
#include "partition.h"
#include "tls.h"

struct server {
    const struct options *options;
    struct tls tls;
    struct owners owners;
    CXPLAT_WORKER_POOL *pool;
    CXPLAT_DATAPATH *datapath;
    CXPLAT_SOCKET *socket;
    struct partition *partitions; /* one for each worker */
    uint16_t opened;              /* how many are linked to their worker */
    _Atomic bool stopping;
    struct gauge ended; /* partitions that have taken their last turn */
};

/* Starts to serve. FALSE, with the reason on stderr, if it cannot; then it is to be closed too. */
bool server_open(struct server *s, const struct options *options);

/* Closes all connections, and gives everything back. FALSE, with a message, if something is not. */
bool server_close(struct server *s);

#endif
