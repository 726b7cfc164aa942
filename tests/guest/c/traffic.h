/* SPDX-License-Identifier: MIT */
/*
 * traffic.h - datagrams that go to and fro between two sockets for as long as one likes: the load
 * under which a guest program does what its host would do.
 *
 * A client and an echoing server on 127.0.0.1. Every datagram that comes back sends the next one,
 * inside the up-call, so the workers are never idle. The payload is checked on arrival.
 */
#ifndef GUEST_TRAFFIC_H
#define GUEST_TRAFFIC_H

#include <stdatomic.h>
#include <stdbool.h>

#include "host/rig.h"
#include "host/wait.h"

struct traffic {
    struct rig rig;
    struct inbox server_in;
    struct inbox client_in;
    CXPLAT_SOCKET *server;
    CXPLAT_SOCKET *client;
    struct gauge rounds; /* datagrams that came back */
    _Atomic bool quiet;  /* no more are sent */
    /* Called on a worker, inside the client's up-call; NULL: nothing. Set before the start. */
    void (*on_worker)(void *context);
    void *on_worker_context;
};

/* Opens a rig with so many workers and sets the datagrams going. */
void traffic_start(struct traffic *t, uint32_t workers);

/* The same on a rig that is open already. */
void traffic_start_on(struct traffic *t);

/* Waits until so many more have come back. */
void traffic_more(struct traffic *t, uint64_t rounds);

/* Deletes the sockets, and closes the rig. */
void traffic_stop(struct traffic *t);
void traffic_stop_sockets(struct traffic *t);

#endif
