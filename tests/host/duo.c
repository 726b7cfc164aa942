/* SPDX-License-Identifier: MIT */
/* duo.c - makes both ends. */
#include "host/duo.h"

#include <string.h>

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
