/* SPDX-License-Identifier: MIT */
/* plain.h - what ours is measured against: the same jobs in plain C on bare sockets. */
#ifndef BENCH_PLAIN_H
#define BENCH_PLAIN_H

#include "meter.h"
#include "options.h"
#include "reader.h"

void plain_receive(const struct options *o);
void plain_send(const struct options *o);
void plain_echo(const struct options *o);

/* An event queue that tells when the socket can be read. */
int plain_watch(int fd);

/*
 * Serves one socket from an event queue, as a worker does, until the meter says stop: calls serve
 * for each read that brought something. serve counts datagrams and bytes; reads are counted here.
 */
typedef void plain_serve_fn(void *context, const struct reader *r, int messages);

void plain_loop(int fd, struct meter *m, plain_serve_fn *serve, void *context);

#endif
