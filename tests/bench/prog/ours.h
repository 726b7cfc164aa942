/* SPDX-License-Identifier: MIT */
/*
 * ours.h - the archive, used as MsQuic uses it: through CxPlat*, on one worker.
 *
 * The worker is the program's first thread. It polls the event queue of a pool that has no threads
 * of its own (tests/host), so that nothing but the datapath is between the kernel and the job.
 */
#ifndef BENCH_OURS_H
#define BENCH_OURS_H

#include <stdbool.h>

#include "meter.h"
#include "msquicxdp/cxplat.h"
#include "options.h"

void ours_receive(const struct options *o);
void ours_send(const struct options *o);
void ours_echo(const struct options *o);
void ours_micro(const struct options *o);

/* What a job does with what arrives: it takes the chain and returns it. */
typedef void ours_receive_fn(CXPLAT_SOCKET *socket, void *context, CXPLAT_RECV_DATA *chain);

enum { MAX_DATAPATHS = 16 };

struct ours {
    CXPLAT_WORKER_POOL *pool;
    CXPLAT_EVENTQ queue;
    CXPLAT_DATAPATH *datapath[MAX_DATAPATHS]; /* as many as the options ask for */
    CXPLAT_SOCKET *socket[MAX_DATAPATHS];     /* one of each */
    const struct options *options;
};

/*
 * Datapaths, each with a socket on local; with `connected` clients of remote:port, else servers. With an
 * interface in the options they are to be had by AF_XDP, and nothing else will do.
 */
void ours_open(
    struct ours *d, const struct options *o, bool connected, ours_receive_fn *fn, void *context);
void ours_close(struct ours *d);

unsigned ours_port(const struct ours *d);

/* Runs the completions of up to 16 events, as a worker does; waits up to timeout_ms for the first. */
void ours_poll(const struct ours *d, int timeout_ms);

/* A resolved route from the client's socket of one of the datapaths to its remote. */
CXPLAT_ROUTE ours_route(const struct ours *d, unsigned i);

/* Fills in what the archive has counted: to be a meter's refresh. */
void ours_refresh(struct counts *now);

#endif
