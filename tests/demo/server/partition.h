/* SPDX-License-Identifier: MIT */
/*
 * partition.h - one worker's part of the server: its connections, and its turns.
 *
 * Datagrams come in up-calls on the worker. What they cause to be sent, timers, and datagrams that
 * another worker received for one of these connections are served in the execution context, which
 * runs after each batch of events. Only the queue of those datagrams has a lock.
 */
#ifndef DEMO_PARTITION_H
#define DEMO_PARTITION_H

#include <pthread.h>
#include <stdbool.h>

#include "chain.h"
#include "conn.h"
#include "report.h"
#include "table.h"

struct server;

struct partition {
    struct server *server;
    uint16_t index;
    struct counts counts;
    struct table table; /* of connections, by all their IDs */
    struct conn *conns;
    struct conn *pending; /* those that may have something to write */
    CXPLAT_EXECUTION_CONTEXT context;
    CXPLAT_SQE wake;
    pthread_mutex_t lock;
    struct chain arriving; /* under lock */
    bool ended;            /* written under lock, by the worker */
};

/* Links the partition to its worker. FALSE, with errno, if it cannot be woken. */
bool partition_open(struct partition *p, struct server *server, uint16_t index);

/* After the worker has ended, or if it never was opened. */
void partition_close(struct partition *p);

/* Makes it take its turn. Any thread. */
void partition_wake(struct partition *p);

/*
 * The receive up-call, on any worker. It need not be the one that a datagram names: where an
 * interface has fewer queues than there are workers, those of the queues receive for all.
 */
void partition_receive(struct server *server, CXPLAT_RECV_DATA *chain);

/* Takes datagrams from another worker, all of them, or none if it has ended. */
void partition_give(struct partition *p, struct chain *chain);

/* The connection writes in this turn, or the next. On the worker. */
void partition_mark_pending(struct partition *p, struct conn *c);

#endif
