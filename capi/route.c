/* SPDX-License-Identifier: MIT */
/* route.c - routes. Over kernel sockets the kernel routes, so all of those are ready at once. */
#include <string.h>

#include "internal.h"

QUIC_STATUS mqx_CxPlatResolveRoute(
    CXPLAT_SOCKET *socket,
    CXPLAT_ROUTE *route,
    uint8_t path_id,
    void *context,
    CXPLAT_ROUTE_RESOLUTION_CALLBACK_HANDLER callback)
{
    if (socket == NULL || route == NULL) {
        if (callback != NULL) {
            callback(context, NULL, path_id, FALSE); /* a failure is said in both ways */
        }
        return mqx_fail(
            QUIC_STATUS_INVALID_PARAMETER, "CxPlatResolveRoute: needs a socket and a route");
    }
    if (socket->HasRemote) {
        route->UseQTIP = FALSE;
    }
    if (mqx_raw_prefers(socket, route) && !atomic_load(&mqx_forked)) {
        return mqx_raw_resolve(socket, route, path_id, context, callback);
    }
    if (route->DatapathType == CXPLAT_DATAPATH_TYPE_RAW) {
        route->DatapathType = CXPLAT_DATAPATH_TYPE_NORMAL; /* its socket has no AF_XDP any more */
        route->Queue = NULL;
    }
    route->State = RouteResolved;
    return QUIC_STATUS_SUCCESS;
}

void mqx_CxPlatResolveRouteComplete(
    void *context, CXPLAT_ROUTE *route, const uint8_t *physical_address, uint8_t path_id)
{
    (void)context;
    (void)path_id;
    if (route == NULL || physical_address == NULL || route->State == RouteResolved) {
        return;
    }
    memcpy(
        route->NextHopLinkLayerAddress, physical_address, sizeof(route->NextHopLinkLayerAddress));
    route->State = RouteResolved;
}

void mqx_CxPlatUpdateRoute(CXPLAT_ROUTE *to, CXPLAT_ROUTE *from)
{
    if (to == NULL || from == NULL || from->DatapathType != CXPLAT_DATAPATH_TYPE_RAW ||
        to->TcpState.Syncd) {
        return;
    }
    to->TcpState.Syncd = TRUE;
    to->TcpState.AckNumber = from->TcpState.SequenceNumber - 1;
    to->TcpState.SequenceNumber = from->TcpState.AckNumber + 1;
}

void mqx_QuicCopyRouteInfo(CXPLAT_ROUTE *to, CXPLAT_ROUTE *from)
{
    if (to == NULL || from == NULL) {
        return;
    }
    if (from->DatapathType == CXPLAT_DATAPATH_TYPE_RAW) {
        memcpy(to, from, offsetof(CXPLAT_ROUTE, State));
        mqx_CxPlatUpdateRoute(to, from);
    } else {
        *to = *from;
    }
}
