/* SPDX-License-Identifier: MIT */
/*
 * transmit.h - packets of a connection into sends of the datapath.
 *
 * A send goes one way, with one ECN mark and one size of datagram, the last one shorter. Only the
 * packet tells which, once it is written: so the first of a send is written aside and copied, and
 * all others are written right into the buffers of the send. One that turns out to be for another
 * way (an answer on a new path, a probe of its size) is put aside to begin the next send.
 */
#ifndef DEMO_TRANSMIT_H
#define DEMO_TRANSMIT_H

#include "conn.h"

/* Sends what the connection has, as far as ngtcp2 allows. 0, or the error of ngtcp2's. */
int transmit(struct conn *c, uint64_t now);

/* Sends a single datagram. Lost, as on any network, where memory is short. */
void transmit_datagram(
    CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route, const uint8_t *bytes, size_t length);

#endif
