/* SPDX-License-Identifier: MIT */
/* udp.h - bare sockets with the kernel's batching: what `plain` and the peer are made of. */
#ifndef BENCH_UDP_H
#define BENCH_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

/*
 * A bound socket that does not block, with the options that a QUIC server needs: destination
 * address, traffic class and TTL of what arrives, GRO, no fragments, the largest receive buffer.
 */
int udp_open(const struct options *o);
void udp_connect(int fd, const struct options *o);
unsigned udp_port(int fd);

/* Waits until it can be read. FALSE: not within STOP_CHECK_MS. */
bool udp_wait(int fd);

/* Control messages of a send. */
enum { UDP_TX_CONTROL = 64 };
struct tx_control {
    size_t length;
    uint8_t data[UDP_TX_CONTROL] __attribute__((aligned(8)));
};

/* The kernel is to cut the payload into datagrams of `segment` bytes. */
void tx_control_segment(struct tx_control *c, uint16_t segment);

/* The packet is to have this source address and leave by this interface. */
void tx_control_source(struct tx_control *c, struct in_addr source, int interface);

#endif
