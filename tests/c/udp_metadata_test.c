/* SPDX-License-Identifier: MIT */
/* udp_metadata_test.c - what goes with a datagram: addresses, class, hop limit, interface. */
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/link.h"
#include "host/pattern.h"
#include "host/peer.h"

/* A server on [::], and a peer at ip. */
struct scene {
    struct rig rig;
    struct inbox in;
    CXPLAT_SOCKET *server;
    uint16_t port;
    int peer;
    QUIC_ADDR peer_address;
    struct peer_packet *packet;
};

static bool scene_open(struct scene *s, const char *peer_ip)
{
    QUIC_ADDR mine = addr(peer_ip, 0);
    memset(s, 0, sizeof(*s));
    s->packet = calloc(1, sizeof(*s->packet));
    if (!rig_open(&s->rig, 2)) {
        return false;
    }
    inbox_init(&s->in, &s->rig);
    s->server = rig_udp(&s->rig, &s->in, NULL, NULL);
    s->peer = peer_udp(&mine);
    s->peer_address = peer_address(s->peer);
    if (!CHECK(s->server != NULL) || !CHECK(s->peer >= 0)) {
        return false;
    }
    QUIC_ADDR local = socket_local(s->server);
    s->port = addr_port(&local);
    return true;
}

static void scene_close(struct scene *s)
{
    close(s->peer);
    rig_delete(s->server, &s->in);
    rig_close(&s->rig);
    inbox_free(&s->in);
    free(s->packet);
}

/* The newest of the server's mail, once there are n pieces. */
static const struct mail *arrival(struct scene *s, unsigned n)
{
    return CHECK(inbox_wait(&s->in, INBOX_DATAGRAMS, n)) ? inbox_mail(&s->in, n - 1) : NULL;
}

/* ---- addresses ---- */

/* Sent to one of our addresses: it says to which, and by which interface; the answer leaves it. */
static void try_destination(struct scene *s, unsigned n, const char *ip)
{
    QUIC_ADDR to = addr(ip, s->port);
    CHECK(peer_send(s->peer, &to, "hello", 5));
    const struct mail *m = arrival(s, n);
    if (m == NULL) {
        return;
    }
    CHECK_ADDR(&m->to, &to);
    CHECK_ADDR(&m->from, &s->peer_address);
    CHECK_EQ(m->to.Ipv6.sin6_scope_id, if_nametoindex("lo")); /* behind an IPv4 address, too */
    CXPLAT_ROUTE back = route_to(s->server, &m->from);
    back.LocalAddress = m->to;
    CHECK(send_pattern(s->server, &back, 60, n));
    CHECK(peer_receive(s->peer, s->packet));
    CHECK_ADDR(&s->packet->from, &to);
    CHECK(s->packet->length == 60 && pattern_holds(s->packet->data, 60, n));
}

TEST(ipv4_answers_leave_from_the_address_asked)
{
    static const char *const ips[] = {"127.0.0.1", "127.0.0.2", "127.99.3.200", "127.0.0.1"};
    struct scene s;
    REQUIRE(scene_open(&s, "127.0.0.1"));
    for (unsigned i = 0; i < sizeof(ips) / sizeof(ips[0]); i++) {
        try_destination(&s, i + 1, ips[i]);
    }
    scene_close(&s);
}

TEST(ipv6_answers_leave_from_the_address_asked)
{
    static const char *const ips[] = {"::1", "fd00::1", "fd00::2", "::1"};
    struct scene s;
    QUIC_ADDR one = addr("fd00::1", 0), two = addr("fd00::2", 0);
    REQUIRE(link_add_address("lo", &one, 128));
    REQUIRE(link_add_address("lo", &two, 128));
    REQUIRE(link_wait_local("lo", &one) && link_wait_local("lo", &two));
    REQUIRE(scene_open(&s, "::1"));
    for (unsigned i = 0; i < sizeof(ips) / sizeof(ips[0]); i++) {
        try_destination(&s, i + 1, ips[i]);
    }
    scene_close(&s);
    CHECK(link_delete_address("lo", &one, 128));
    CHECK(link_delete_address("lo", &two, 128));
}

/* Without a local address in the route the kernel chooses, as it does for everybody. */
static void try_wildcard_source(const char *wildcard, const char *loopback)
{
    struct scene s;
    REQUIRE(scene_open(&s, loopback));
    CXPLAT_ROUTE route = route_to(s.server, &s.peer_address);
    route.LocalAddress = addr(wildcard, 0);
    QUIC_ADDR want = addr(loopback, s.port);
    CHECK(send_pattern(s.server, &route, 10, 1));
    CHECK(peer_receive(s.peer, s.packet));
    CHECK_ADDR(&s.packet->from, &want);
    memset(&route.LocalAddress, 0, sizeof(route.LocalAddress)); /* no family at all */
    CHECK(send_pattern(s.server, &route, 11, 2));
    CHECK(peer_receive(s.peer, s.packet));
    CHECK_ADDR(&s.packet->from, &want);
    scene_close(&s);
}

TEST(a_wildcard_source_is_the_kernels_choice)
{
    try_wildcard_source("0.0.0.0", "127.0.0.1");
    try_wildcard_source("::", "::1");
}

/* A source that is not ours is a loss, as a network would lose it; the socket works on. */
TEST(a_source_of_somebody_else_is_a_silent_loss)
{
    struct scene s;
    REQUIRE(scene_open(&s, "127.0.0.1"));
    CXPLAT_ROUTE route = route_to(s.server, &s.peer_address);
    route.LocalAddress = addr("192.0.2.7", s.port);
    CHECK(send_pattern(s.server, &route, 10, 1));
    route.LocalAddress = addr("127.0.0.1", s.port);
    CHECK(send_pattern(s.server, &route, 20, 2));
    CHECK(peer_receive(s.peer, s.packet));
    CHECK_EQ(s.packet->length, 20);
    CHECK_EQ(inbox_count(&s.in, INBOX_UNREACHABLE), 0);
    scene_close(&s);
}

/* ---- traffic class ---- */

static bool send_class(struct scene *s, uint8_t ecn, uint8_t dscp)
{
    CXPLAT_ROUTE route = route_to(s->server, &s->peer_address);
    memset(&route.LocalAddress, 0, sizeof(route.LocalAddress));
    CXPLAT_SEND_CONFIG config = {.Route = &route, .ECN = ecn, .DSCP = dscp};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(s->server, &config);
    QUIC_BUFFER *buffer = send != NULL ? CxPlatSendDataAllocBuffer(send, 1) : NULL;
    if (!CHECK(buffer != NULL)) {
        return false;
    }
    buffer->Buffer[0] = 1;
    CxPlatSocketSend(s->server, &route, send);
    return true;
}

static void try_class(struct scene *s, unsigned n, uint8_t ecn, uint8_t dscp)
{
    int want = ecn | dscp << 2;
    if (send_class(s, ecn, dscp) && CHECK(peer_receive(s->peer, s->packet))) {
        CHECK_EQ(s->packet->tos, want);
    }
    bool v4 = s->peer_address.Ip.sa_family == AF_INET;
    CHECK(peer_set(s->peer, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, want));
    QUIC_ADDR to = addr(v4 ? "127.0.0.1" : "::1", s->port);
    CHECK(peer_send(s->peer, &to, "x", 1));
    const struct mail *m = arrival(s, n);
    if (m != NULL) {
        CHECK_EQ(m->tos, want);
    }
}

/* Every ECN with every DSCP, out and in, told by a socket that is not ours. */
static void try_classes(const char *ip)
{
    struct scene s;
    unsigned n = 0;
    REQUIRE(scene_open(&s, ip));
    for (uint8_t ecn = 0; ecn < 4; ecn++) {
        for (uint8_t dscp = 0; dscp <= CXPLAT_MAX_DSCP; dscp++) {
            try_class(&s, ++n, ecn, dscp);
        }
    }
    scene_close(&s);
}

TEST(ipv4_traffic_class)
{
    try_classes("127.0.0.1");
}

TEST(ipv6_traffic_class)
{
    try_classes("::1");
}

/* Every datagram of a batch has the class of its send. */
TEST(traffic_class_of_a_batch)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    CXPLAT_SEND_CONFIG config = {
        .Route = &d.route, .MaxPacketSize = 500, .ECN = CXPLAT_ECN_ECT_0, .DSCP = CXPLAT_DSCP_EF};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(d.client, &config);
    REQUIRE(send != NULL);
    for (uint32_t i = 0; i < 10; i++) {
        QUIC_BUFFER *buffer = CxPlatSendDataAllocBuffer(send, 500);
        REQUIRE(buffer != NULL);
        pattern_fill(buffer->Buffer, 500, i);
    }
    CxPlatSocketSend(d.client, &d.route, send);
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 10));
    for (unsigned i = 0; i < 10; i++) {
        const struct mail *m = inbox_mail(&d.server_in, i);
        CHECK(m != NULL && m->tos == (CXPLAT_ECN_ECT_0 | CXPLAT_DSCP_EF << 2));
    }
    duo_close(&d);
}

/* ---- hop limit ---- */

static void try_hop_limits(const char *ip)
{
    static const int limits[] = {1, 2, 63, 64, 127, 128, 254, 255};
    struct scene s;
    REQUIRE(scene_open(&s, ip));
    bool v4 = s.peer_address.Ip.sa_family == AF_INET;
    QUIC_ADDR to = addr(ip, s.port);
    for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        CHECK(peer_set(
            s.peer, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TTL : IPV6_UNICAST_HOPS, limits[i]));
        CHECK(peer_send(s.peer, &to, "x", 1));
        const struct mail *m = arrival(&s, i + 1);
        if (m != NULL) {
            CHECK_EQ(m->ttl, limits[i]);
        }
    }
    CXPLAT_ROUTE route = route_to(s.server, &s.peer_address);
    CHECK(send_pattern(s.server, &route, 10, 1));
    CHECK(peer_receive(s.peer, s.packet));
    CHECK(s.packet->ttl > 1); /* ours travel */
    scene_close(&s);
}

TEST(hop_limits)
{
    try_hop_limits("127.0.0.1");
    try_hop_limits("::1");
}

/* ---- link-local addresses ---- */

/* fe80:: means something on one interface only: the scope of the route says on which. */
TEST(link_local_peers)
{
    QUIC_ADDR a = addr("fe80::a", 0), b = addr("fe80::b", 0);
    REQUIRE(link_add_veth("veth0", "veth1"));
    REQUIRE(link_add_address("veth0", &a, 64) && link_add_address("veth1", &b, 64));
    REQUIRE(link_up("veth0") && link_up("veth1") && link_wait_usable("veth0"));
    REQUIRE(link_wait_local("veth0", &a));
    struct scene s;
    REQUIRE(scene_open(&s, "::1"));
    a.Ipv6.sin6_scope_id = if_nametoindex("veth0");
    int fd = peer_udp(&a);
    REQUIRE(fd >= 0);
    QUIC_ADDR from = peer_address(fd), to = addr_with_port(a, s.port);
    CHECK(peer_send(fd, &to, "local", 5));
    const struct mail *m = arrival(&s, 1);
    if (m != NULL) {
        CHECK_ADDR(&m->to, &to);
        CHECK_ADDR(&m->from, &from);
        CHECK_EQ(m->from.Ipv6.sin6_scope_id, a.Ipv6.sin6_scope_id);
        CXPLAT_ROUTE back = route_to(s.server, &m->from);
        back.LocalAddress = m->to;
        CHECK(send_pattern(s.server, &back, 40, 1));
        CHECK(peer_receive(fd, s.packet));
        CHECK_EQ(s.packet->length, 40);
        CHECK_ADDR(&s.packet->from, &to);
    }
    close(fd);
    scene_close(&s);
    CHECK(link_delete("veth0"));
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(ipv4_answers_leave_from_the_address_asked),
    CASE(ipv6_answers_leave_from_the_address_asked),
    CASE(a_wildcard_source_is_the_kernels_choice),
    CASE(a_source_of_somebody_else_is_a_silent_loss),
    CASE(ipv4_traffic_class),
    CASE(ipv6_traffic_class),
    CASE(traffic_class_of_a_batch),
    CASE(hop_limits),
    CASE(link_local_peers))
