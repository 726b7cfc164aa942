/* SPDX-License-Identifier: MIT */
/* duo.h - a server and a client of one rig that talk to each other: what most tests begin with. */
#ifndef HOST_DUO_H
#define HOST_DUO_H

#include "host/rig.h"

struct duo {
    struct rig rig;
    struct inbox server_in;
    struct inbox client_in;
    CXPLAT_SOCKET *server; /* unconnected; for TCP the listener */
    CXPLAT_SOCKET *client; /* connected to the server */
    QUIC_ADDR address;     /* the server's */
    CXPLAT_ROUTE route;    /* from client to server */
    /* TCP: what the listener accepts. */
    struct inbox accepted_in;
    CXPLAT_SOCKET *accepted;
};

/* The server listens on ip, port 0, of `workers` partitions. FALSE, and a failure, if it cannot. */
bool duo_open(struct duo *d, uint32_t workers, const char *ip);
bool duo_open_external(struct duo *d, const char *ip);

/* By AF_XDP, on a wire of their own (wire.h). The server has all addresses, of which ip is one of an end. */
bool duo_open_raw(struct duo *d, uint32_t workers, const char *ip);
bool duo_open_raw_external(struct duo *d, const char *ip);
void duo_close_raw(struct duo *d);

/* Their sockets alone, where rig and wire are there already. */
bool duo_make_raw(struct duo *d, const char *ip);

/* Like duo_open, with TCP, and connected on return. */
bool duo_open_tcp(struct duo *d, uint32_t workers, const char *ip);

/* Deletes what is not NULL, and ends the rig. */
void duo_close(struct duo *d);

/* Has the client send one datagram of `length` bytes, and waits for it; NULL if none comes. */
const struct mail *duo_exchange(struct duo *d, uint16_t length, uint32_t seed);

/* The client's route by AF_XDP, resolved: for where all neighbours are known. */
CXPLAT_ROUTE duo_resolved(struct duo *d);

#endif
