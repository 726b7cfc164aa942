/* SPDX-License-Identifier: MIT */
/* routes.c - a ring of routes. */
#include "routes.h"

#include <stdbool.h>

#include "host/address.h"

ngtcp2_path routes_path(const CXPLAT_ROUTE *route)
{
    const QUIC_ADDR *local = &route->LocalAddress;
    const QUIC_ADDR *remote = &route->RemoteAddress;
    return (ngtcp2_path){
        .local = {(ngtcp2_sockaddr *)&local->Ip, addr_length(local)},
        .remote = {(ngtcp2_sockaddr *)&remote->Ip, addr_length(remote)},
    };
}

CXPLAT_ROUTE *routes_latest(struct routes *r)
{
    return &r->slots[r->latest];
}

static bool same(const CXPLAT_ROUTE *a, const CXPLAT_ROUTE *b)
{
    return addr_equal(&a->RemoteAddress, &b->RemoteAddress) &&
           addr_equal(&a->LocalAddress, &b->LocalAddress);
}

void routes_remember(struct routes *r, CXPLAT_ROUTE *route)
{
    for (unsigned i = 0; i < ROUTES; i++) {
        unsigned at = (r->latest + i) % ROUTES;
        if (same(&r->slots[at], route)) {
            r->latest = at;
            return;
        }
    }
    r->latest = r->next;
    r->next = (r->next + 1) % ROUTES;
    QuicCopyRouteInfo(&r->slots[r->latest], route);
}

CXPLAT_ROUTE *routes_find(struct routes *r, const ngtcp2_path *path)
{
    for (unsigned i = 0; i < ROUTES; i++) {
        CXPLAT_ROUTE *route = &r->slots[(r->latest + i) % ROUTES];
        ngtcp2_path known = routes_path(route);
        if (route->RemoteAddress.Ip.sa_family != AF_UNSPEC && ngtcp2_path_eq(&known, path)) {
            return route;
        }
    }
    return NULL;
}
