/* SPDX-License-Identifier: MIT */
/* xdp.h - the jobs of the plain AF_XDP program: the loops of `plain`, and those of the peer. */
#ifndef BENCH_XDP_H
#define BENCH_XDP_H

#include "meter.h"
#include "options.h"

void xdp_receive(const struct options *o);
void xdp_send(const struct options *o);
void xdp_echo(const struct options *o);
void xdp_swallow(const struct options *o);
void xdp_ping(const struct options *o);

#endif
