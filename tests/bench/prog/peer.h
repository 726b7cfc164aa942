/* SPDX-License-Identifier: MIT */
/* peer.h - the other end of a benchmark, in a process of its own: plain C in every case. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "options.h"

/* Sends to remote:port, as fast as it can or at a rate, until told to stop. */
void peer_flood(const struct options *o);

/* Reads whatever comes, until told to stop. */
void peer_sink(const struct options *o);

/* Sends batches to an echo server, waits for what comes back, and times the round trips. */
void peer_ping(const struct options *o);

#endif
