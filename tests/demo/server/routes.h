/* SPDX-License-Identifier: MIT */
/* routes.h - the routes by which a connection's datagrams came lately; ngtcp2 calls them paths. */
#ifndef DEMO_ROUTES_H
#define DEMO_ROUTES_H

#include "compat.h"
#include "msquicxdp/cxplat.h"

/* More than the two that a migration takes: forged datagrams leave some too. */
enum { ROUTES = 4 };

/* All zero is an empty one. */
struct routes {
    CXPLAT_ROUTE slots[ROUTES];
    unsigned latest;
    unsigned next; /* the slot for a new one */
};

/*
 * Keeps the route by which the socket got a datagram, ready to send by: in the place of the oldest if
 * it is new. One that is known is kept as it is, unless it now leads over AF_XDP and did not before,
 * the other way round, or through another queue or to another neighbour.
 */
void routes_remember(struct routes *r, CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route);

/* The one last remembered. */
CXPLAT_ROUTE *routes_latest(struct routes *r);

/* The one that a path goes by; NULL if it is not known any more. */
CXPLAT_ROUTE *routes_find(struct routes *r, const ngtcp2_path *path);

/* A route as a path, which points into the route. */
ngtcp2_path routes_path(const CXPLAT_ROUTE *route);

#endif
