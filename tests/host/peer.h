/* SPDX-License-Identifier: MIT */
/*
 * peer.h - the other end of a conversation, on a plain kernel socket.
 *
 * What the archive sends is read here, and what it receives was sent here, without any code of the
 * archive, so that a mistake made twice does not go unseen.
 */
#ifndef HOST_PEER_H
#define HOST_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include "msquicxdp/cxplat.h"

/* A bound UDP socket that tells everything about what it receives; -1 on failure. */
int peer_udp(const QUIC_ADDR *local);

/* A connected TCP socket; a TCP listener. Blocking, with a time limit on each call. */
int peer_tcp(const QUIC_ADDR *remote);
int peer_tcp_listener(const QUIC_ADDR *local);

QUIC_ADDR peer_address(int fd);

bool peer_set(int fd, int level, int option, int value);

bool peer_send(int fd, const QUIC_ADDR *to, const void *data, size_t length);

/* In one system call, as datagrams of `segment` bytes, the last one shorter. */
bool peer_send_segmented(
    int fd, const QUIC_ADDR *to, const void *data, size_t length, uint16_t segment);

struct peer_packet {
    size_t length;
    QUIC_ADDR from; /* un-mapped */
    QUIC_ADDR to;   /* un-mapped, without port; scope: the interface */
    int tos;        /* -1: not told */
    int ttl;        /* -1: not told */
    uint8_t data[65536];
};

/* Waits for a datagram; FALSE at the deadline. */
bool peer_receive(int fd, struct peer_packet *packet);

/* TRUE when a datagram waits now. */
bool peer_has_mail(int fd);

/* A stream: all bytes, or FALSE. peer_read_end is TRUE when it ends or is reset, in time. */
bool peer_write(int fd, const void *data, size_t length);
bool peer_read(int fd, void *data, size_t length);
bool peer_read_end(int fd);

#endif
