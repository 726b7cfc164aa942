/* SPDX-License-Identifier: MIT */
/* duo.c - makes both ends. */
#include "host/duo.h"

#include <string.h>

#include "host/wire.h"

static bool make_sockets(struct duo *d, const char *ip)
{
    QUIC_ADDR local = addr(ip, 0);
    inbox_init(&d->server_in, &d->rig);
    inbox_init(&d->client_in, &d->rig);
    inbox_init(&d->accepted_in, &d->rig);
    d->server = rig_udp(&d->rig, &d->server_in, &local, NULL);
    if (d->server == NULL) {
        return false;
    }
    d->address = socket_local(d->server);
    d->client = rig_udp(&d->rig, &d->client_in, NULL, &d->address);
    if (d->client == NULL) {
        return false;
    }
    d->route = route_of(d->client);
    return true;
}

bool duo_open(struct duo *d, uint32_t workers, const char *ip)
{
    memset(d, 0, sizeof(*d));
    return rig_open(&d->rig, workers) && make_sockets(d, ip);
}

bool duo_open_external(struct duo *d, const char *ip)
{
    memset(d, 0, sizeof(*d));
    return rig_open_external(&d->rig, 1) && make_sockets(d, ip);
}

/* The client finds its own address. */
bool duo_make_raw(struct duo *d, const char *ip)
{
    inbox_init(&d->server_in, &d->rig);
    inbox_init(&d->client_in, &d->rig);
    inbox_init(&d->accepted_in, &d->rig);
    d->server_in.raw = d->client_in.raw = true;
    d->server = rig_udp_flags(
        &d->rig, &d->server_in, NULL, NULL,
        (CXPLAT_SOCKET_FLAGS)(CXPLAT_SOCKET_FLAG_XDP | CXPLAT_SOCKET_SERVER_OWNED));
    if (d->server == NULL) {
        return false;
    }
    QUIC_ADDR local = socket_local(d->server);
    d->address = addr(ip, addr_port(&local));
    d->client = rig_udp_flags(&d->rig, &d->client_in, NULL, &d->address, CXPLAT_SOCKET_FLAG_XDP);
    return d->client != NULL && CHECK(CxPlatSocketRawSocketAvailable(d->server)) &&
           CHECK(CxPlatSocketRawSocketAvailable(d->client));
}

bool duo_open_raw(struct duo *d, uint32_t workers, const char *ip)
{
    memset(d, 0, sizeof(*d));
    return CHECK(wire_open()) && rig_open(&d->rig, workers) && duo_make_raw(d, ip);
}

bool duo_open_raw_external(struct duo *d, const char *ip)
{
    memset(d, 0, sizeof(*d));
    return CHECK(wire_open()) && rig_open_external(&d->rig, 1) && duo_make_raw(d, ip);
}

void duo_close_raw(struct duo *d)
{
    duo_close(d);
    CHECK(wire_close());
}

bool duo_open_tcp(struct duo *d, uint32_t workers, const char *ip)
{
    memset(d, 0, sizeof(*d));
    if (!rig_open(&d->rig, workers)) {
        return false;
    }
    QUIC_ADDR local = addr(ip, 0);
    inbox_init(&d->server_in, &d->rig);
    inbox_init(&d->client_in, &d->rig);
    inbox_init(&d->accepted_in, &d->rig);
    d->server_in.accepting = &d->accepted_in;
    d->server = rig_listener(&d->rig, &d->server_in, &local);
    if (d->server == NULL) {
        return false;
    }
    d->address = socket_local(d->server);
    d->client = rig_tcp(&d->rig, &d->client_in, &d->address);
    if (d->client == NULL || !CHECK(inbox_wait(&d->client_in, INBOX_CONNECTED, 1)) ||
        !CHECK(inbox_wait(&d->server_in, INBOX_ACCEPTED, 1))) {
        return false;
    }
    d->accepted = d->server_in.accepted[0];
    d->route = route_of(d->client);
    return true;
}

void duo_close(struct duo *d)
{
    rig_delete(d->client, &d->client_in);
    rig_delete(d->accepted, &d->accepted_in);
    rig_delete(d->server, &d->server_in);
    rig_close(&d->rig);
    inbox_free(&d->client_in);
    inbox_free(&d->accepted_in);
    inbox_free(&d->server_in);
}

const struct mail *duo_exchange(struct duo *d, uint16_t length, uint32_t seed)
{
    uint64_t before = inbox_count(&d->server_in, INBOX_DATAGRAMS);
    if (!send_pattern(d->client, &d->route, length, seed) ||
        !CHECK(inbox_wait(&d->server_in, INBOX_DATAGRAMS, before + 1))) {
        return NULL;
    }
    return inbox_mail(&d->server_in, (unsigned)before);
}

CXPLAT_ROUTE duo_resolved(struct duo *d)
{
    CXPLAT_ROUTE route = {.RemoteAddress = d->address, .LocalAddress = socket_local(d->client)};
    CHECK_EQ(CxPlatResolveRoute(d->client, &route, 0, NULL, NULL), QUIC_STATUS_SUCCESS);
    CHECK_EQ(route.State, RouteResolved);
    CHECK_EQ(route.DatapathType, CXPLAT_DATAPATH_TYPE_RAW);
    return route;
}
