/* SPDX-License-Identifier: MIT */
/* routes.c - a ring of routes. */
#include "routes.h"

#include <stdbool.h>
#include <string.h>

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

/* Whether both lead the same way, between the same addresses. */
static bool same_way(const CXPLAT_ROUTE *a, const CXPLAT_ROUTE *b)
{
    return a->DatapathType == b->DatapathType &&
           (a->DatapathType != CXPLAT_DATAPATH_TYPE_RAW ||
            (a->Queue == b->Queue && memcmp(
                                         a->NextHopLinkLayerAddress, b->NextHopLinkLayerAddress,
                                         sizeof(a->NextHopLinkLayerAddress)) == 0));
}

/*
 * Of AF_XDP the datagram has brought all that an answer needs, so that this does not wait. Where the
 * queue has gone meanwhile, and the next hop is to be asked for first, the kernel leads the way.
 */
static void keep(CXPLAT_ROUTE *slot, CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route)
{
    *slot = (CXPLAT_ROUTE){0};
    QuicCopyRouteInfo(slot, route);
    if (slot->State != RouteResolved &&
        CxPlatResolveRoute(socket, slot, 0, NULL, NULL) != QUIC_STATUS_SUCCESS) {
        slot->Queue = NULL;
        slot->DatapathType = CXPLAT_DATAPATH_TYPE_NORMAL;
        slot->State = RouteResolved;
    }
}

void routes_remember(struct routes *r, CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route)
{
    for (unsigned i = 0; i < ROUTES; i++) {
        unsigned at = (r->latest + i) % ROUTES;
        CXPLAT_ROUTE *slot = &r->slots[at];
        if (same(slot, route)) {
            r->latest = at;
            if (!same_way(slot, route)) {
                keep(slot, socket, route);
            }
            return;
        }
    }
    r->latest = r->next;
    r->next = (r->next + 1) % ROUTES;
    keep(&r->slots[r->latest], socket, route);
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
