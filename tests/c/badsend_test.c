/* SPDX-License-Identifier: MIT */
/* badsend_test.c - sends that are put together wrongly: consumed, lost, and nothing else. */
#include <stdlib.h>
#include <string.h>

#include "host/duo.h"
#include "host/pattern.h"

static CXPLAT_SEND_DATA *start(struct duo *d, uint16_t packet_size)
{
    CXPLAT_SEND_CONFIG config = {.Route = &d->route, .MaxPacketSize = packet_size};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(d->client, &config);
    CHECK(send != NULL);
    return send;
}

/* The next thing that arrives is what is sent now: all that was wrong before has vanished. */
static void expect_nothing_before(struct duo *d)
{
    uint64_t before = inbox_count(&d->server_in, INBOX_DATAGRAMS);
    const struct mail *m = duo_exchange(d, 77, 7777);
    CHECK(m != NULL && m->length == 77 && pattern_holds(m->data, 77, 7777));
    CHECK_EQ(inbox_count(&d->server_in, INBOX_DATAGRAMS), before + 1);
}

TEST(no_arguments)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    CXPLAT_SEND_CONFIG config = {.Route = &d.route}, no_route = {0};
    QUIC_BUFFER buffer = {0};
    CHECK(CxPlatSendDataAlloc(NULL, &config) == NULL);
    CHECK(CxPlatSendDataAlloc(d.client, NULL) == NULL);
    CHECK(CxPlatSendDataAlloc(d.client, &no_route) == NULL);
    CHECK(CxPlatSendDataAlloc(NULL, NULL) == NULL);
    CHECK(CxPlatSendDataAllocBuffer(NULL, 10) == NULL);
    CxPlatSendDataFreeBuffer(NULL, NULL);
    CxPlatSendDataFreeBuffer(NULL, &buffer);
    CxPlatSendDataIsFull(NULL);
    CxPlatSendDataFree(NULL);
    CxPlatSocketSend(NULL, NULL, NULL);
    CxPlatSocketSend(d.client, &d.route, NULL);
    CHECK(CxPlatDataPathIsPaddingPreferred(d.rig.datapath, NULL) <= TRUE);
    expect_nothing_before(&d);
    duo_close(&d);
}

TEST(a_send_is_consumed_in_every_case)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    QUIC_BUFFER *buffer;
    CxPlatSocketSend(NULL, &d.route, send_open(d.client, &d.route, 0, 10, &buffer));
    CxPlatSocketSend(d.client, NULL, send_open(d.client, &d.route, 0, 10, &buffer));
    CxPlatSocketSend(NULL, NULL, send_open(d.client, &d.route, 0, 10, &buffer));
    CxPlatSocketSend(d.server, &d.route, send_open(d.client, &d.route, 0, 10, &buffer));
    expect_nothing_before(&d);
    duo_close(&d);
}

TEST(lengths_that_do_not_fit)
{
    static const uint16_t sizes[] = {1473, 1500, 9000, 65507, 65508, 65535};
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    CXPLAT_SEND_DATA *send = start(&d, 0);
    CHECK(CxPlatSendDataAllocBuffer(send, 0) == NULL);
    CHECK(CxPlatSendDataAllocBuffer(send, 65535) == NULL);
    CHECK(CxPlatSendDataAllocBuffer(send, 10) != NULL); /* a refusal spoils nothing */
    CxPlatSendDataFree(send);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]);
         i++) { /* more than core may ask for */
        send = start(&d, sizes[i]);
        unsigned total = 0;
        for (QUIC_BUFFER *b; (b = CxPlatSendDataAllocBuffer(send, 1400)) != NULL;) {
            memset(b->Buffer, 1, b->Length);
            total += b->Length;
        }
        CHECK(total > 0 && total <= 65507);
        CxPlatSendDataFree(send);
    }
    expect_nothing_before(&d);
    duo_close(&d);
}

/* Length may be lowered, not raised: no byte beyond what was asked for leaves. */
TEST(a_length_that_was_raised)
{
    static const uint32_t lengths[] = {101, 65535, 65536, 1u << 20, UINT32_MAX};
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        QUIC_BUFFER *buffer;
        CXPLAT_SEND_DATA *send = send_open(d.client, &d.route, 0, 100, &buffer);
        REQUIRE(send != NULL);
        pattern_fill(buffer->Buffer, 100, i);
        buffer->Length = lengths[i];
        CxPlatSocketSend(d.client, &d.route, send);
        send = send_open(d.client, &d.route, 50, 50, &buffer);
        REQUIRE(send != NULL);
        buffer->Length = lengths[i];
        CxPlatSendDataIsFull(send);
        CxPlatSendDataFree(send);
    }
    CHECK(duo_exchange(&d, 200, 99) != NULL);
    for (unsigned i = 0; inbox_mail(&d.server_in, i) != NULL; i++) {
        CHECK_LE(inbox_mail(&d.server_in, i)->length, i < 5 ? 100 : 200);
    }
    duo_close(&d);
}

/* Buffers that are not the open one are not taken back. */
TEST(a_buffer_that_is_not_open)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    QUIC_BUFFER *buffer, foreign = {100, NULL}, *others;
    CXPLAT_SEND_DATA *send = send_open(d.client, &d.route, 1000, 1000, &buffer);
    CXPLAT_SEND_DATA *other = send_open(d.client, &d.route, 1000, 1000, &others);
    REQUIRE(send != NULL && other != NULL);
    pattern_fill(buffer->Buffer, 1000, 1);
    CxPlatSendDataFreeBuffer(send, NULL);
    CxPlatSendDataFreeBuffer(send, &foreign);
    CxPlatSendDataFreeBuffer(send, others);
    CHECK(!CxPlatSendDataIsFull(send)); /* commits */
    CxPlatSendDataFreeBuffer(send, buffer);
    CxPlatSendDataFreeBuffer(send, buffer);
    CxPlatSocketSend(d.client, &d.route, send);
    CxPlatSendDataFree(other);
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 1));
    const struct mail *m = inbox_mail(&d.server_in, 0);
    CHECK(m != NULL && m->length == 1000 && pattern_holds(m->data, 1000, 1));
    duo_close(&d);
}

static void send_along(CXPLAT_SOCKET *socket, CXPLAT_ROUTE route)
{
    QUIC_BUFFER *buffer;
    CXPLAT_SEND_DATA *send = send_open(socket, &route, 0, 10, &buffer);
    if (send != NULL) {
        memset(buffer->Buffer, 1, 10);
        CxPlatSocketSend(socket, &route, send);
    }
}

/* Addresses of no family, of another one, without a port: the network loses such things too. */
static void try_wrong_routes(const char *ip)
{
    /* A connected kernel socket takes no family at all for its peer, so the client begins later. */
    static const sa_family_t families[] = {AF_UNSPEC, AF_UNIX, 99, 65535, AF_INET, AF_INET6};
    struct duo d;
    REQUIRE(duo_open(&d, 1, ip));
    CXPLAT_SOCKET *const sockets[] = {d.server, d.client};
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned i = k; i < sizeof(families) / sizeof(families[0]); i++) {
            CXPLAT_ROUTE route = d.route;
            memset(&route.RemoteAddress, 0xee, sizeof(route.RemoteAddress));
            route.RemoteAddress.Ip.sa_family = families[i];
            send_along(sockets[k], route);
            route = d.route;
            route.RemoteAddress = addr_with_port(route.RemoteAddress, 0);
            send_along(sockets[k], route);
        }
    }
    expect_nothing_before(&d);
    duo_close(&d);
}

TEST(routes_that_lead_nowhere)
{
    try_wrong_routes("127.0.0.1");
    try_wrong_routes("::1");
}

/* A source that cannot be named is left out, or the datagram lost; either way nothing breaks. */
TEST(sources_that_cannot_be)
{
    static const sa_family_t families[] = {AF_UNSPEC, AF_UNIX, 99, 65535, AF_INET, AF_INET6};
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    QUIC_ADDR client = socket_local(d.client);
    for (unsigned i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        CXPLAT_ROUTE route = route_to(d.server, &client);
        memset(&route.LocalAddress, 0xee, sizeof(route.LocalAddress));
        route.LocalAddress.Ip.sa_family = families[i];
        send_along(d.server, route);
    }
    CXPLAT_ROUTE route = route_to(d.server, &client);
    inbox_clear(&d.client_in);
    send_pattern(d.server, &route, 500, 1);
    CHECK(inbox_wait(&d.client_in, INBOX_BYTES, 500));
    CHECK_EQ(inbox_count(&d.server_in, INBOX_UNREACHABLE), 0);
    duo_close(&d);
}

TEST(traffic_classes_that_are_none)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    CXPLAT_SEND_CONFIG config = {.Route = &d.route, .ECN = 255, .DSCP = 255, .Flags = 255};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(d.client, &config);
    QUIC_BUFFER *buffer = send != NULL ? CxPlatSendDataAllocBuffer(send, 10) : NULL;
    REQUIRE(buffer != NULL);
    memset(buffer->Buffer, 1, 10);
    CxPlatSocketSend(d.client, &d.route, send);
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 1));
    duo_close(&d);
}

/* A listener cannot send, and a connection's sends are of the connection. */
TEST(sends_of_tcp)
{
    struct duo d;
    REQUIRE(duo_open_tcp(&d, 1, "127.0.0.1"));
    CXPLAT_SEND_CONFIG config = {.Route = &d.route, .MaxPacketSize = 0x4000};
    CHECK(CxPlatSendDataAlloc(d.server, &config) == NULL);
    QUIC_BUFFER *buffer;
    CxPlatSocketSend(d.accepted, &d.route, send_open(d.client, &d.route, 0, 10, &buffer));
    CxPlatSocketSend(d.server, &d.route, send_open(d.client, &d.route, 0, 10, &buffer));
    CxPlatSendDataFree(send_open(d.client, &d.route, 0, 10, &buffer));
    CXPLAT_ROUTE nowhere;
    memset(&nowhere, 0, sizeof(nowhere)); /* a connection knows its way */
    CXPLAT_SEND_DATA *send = send_open(d.client, &d.route, 0, 4, &buffer);
    memcpy(buffer->Buffer, "this", 4);
    CxPlatSocketSend(d.client, &nowhere, send);
    CHECK(inbox_wait(&d.accepted_in, INBOX_BYTES, 4));
    CHECK_EQ(inbox_count(&d.accepted_in, INBOX_BYTES), 4);
    duo_close(&d);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(no_arguments),
    CASE(a_send_is_consumed_in_every_case),
    CASE(lengths_that_do_not_fit),
    CASE(a_length_that_was_raised),
    CASE(a_buffer_that_is_not_open),
    CASE(routes_that_lead_nowhere),
    CASE(sources_that_cannot_be),
    CASE(traffic_classes_that_are_none),
    CASE(sends_of_tcp))
