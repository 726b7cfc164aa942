/* SPDX-License-Identifier: MIT */
/* inlet.h - where a received datagram belongs. */
#ifndef DEMO_INLET_H
#define DEMO_INLET_H

#include "partition.h"

/*
 * Takes a chain, on p's worker: feeds p's connections, hands the datagrams of other workers'
 * connections over to them, answers what belongs to nobody, and returns what it is done with.
 */
void inlet_take(struct partition *p, CXPLAT_RECV_DATA *chain, uint64_t now);

#endif
