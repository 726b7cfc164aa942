/* SPDX-License-Identifier: MIT */
/*
 * conn.h - a QUIC connection. It belongs to one worker, and only that one ever touches it.
 *
 * Datagrams go in by conn_read; what is to be sent is written later in the same turn by transmit.c,
 * so that one send holds as much as there is. A connection that ends stays for a while to answer
 * what is still under way, and is freed by its worker once its expiry has come.
 */
#ifndef DEMO_CONN_H
#define DEMO_CONN_H

#include <stdbool.h>

#include "compat.h"
#include "routes.h"
#include "stream.h"

struct partition;

enum conn_state {
    CONN_OPEN,
    CONN_CLOSING,  /* we have said why, and say it again to what comes in */
    CONN_DRAINING, /* nothing more is said */
};

struct conn {
    struct conn *next;         /* of its partition's */
    struct conn *next_pending; /* of those that have something to write */
    bool pending;
    struct partition *home;
    ngtcp2_cid claims[2]; /* its IDs in the server's owners */
    enum conn_state state;
    uint64_t expiry; /* ns */
    ngtcp2_conn *quic;
    ngtcp2_crypto_conn_ref ref;
    gnutls_session_t tls;
    struct stream *streams;
    bool wants_key_update;
    struct routes routes;
    QUIC_ADDR peer; /* at the other end of the current path */
    uint8_t close_packet[NGTCP2_MAX_UDP_PAYLOAD_SIZE];
    size_t close_length;
    unsigned close_answers; /* datagrams that came in since */
};

/* Begins a connection with the header of a client's first packet. NULL: out of memory. */
struct conn *conn_new(
    struct partition *home, const ngtcp2_pkt_hd *initial, CXPLAT_ROUTE *route, uint64_t now);

/* Its worker has unlinked it. */
void conn_free(struct conn *c);

/* A datagram for this connection; it stays the caller's. */
void conn_read(struct conn *c, const CXPLAT_RECV_DATA *data, uint64_t now);

/* Its expiry has come. FALSE when the connection is to be freed. */
bool conn_expire(struct conn *c, uint64_t now);

/* Writes what there is to write, and sets the expiry anew. */
void conn_write(struct conn *c, uint64_t now);

/* Closes it because of an error of ngtcp2's; 0 is none. */
void conn_close(struct conn *c, int error, uint64_t now);

const char *conn_server_name(const struct conn *c);
uint16_t conn_partition(const struct conn *c);

#endif
