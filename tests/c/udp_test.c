/* SPDX-License-Identifier: MIT */
/* udp_test.c - datagrams go where they are sent, whole, once, and in order. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/netns.h"
#include "host/pattern.h"
#include "host/peer.h"
#include "host/platform.h"

static void check_mail(const struct mail *m, uint16_t length, uint32_t seed)
{
    if (CHECK(m != NULL)) {
        CHECK_EQ(m->length, length);
        CHECK(pattern_holds(m->data, m->length, seed));
    }
}

/* ---- both families ---- */

static void talk(uint32_t workers, const char *ip)
{
    struct duo d;
    REQUIRE(duo_open(&d, workers, ip));
    QUIC_ADDR client = socket_local(d.client);
    const struct mail *m = duo_exchange(&d, 1200, 1);
    check_mail(m, 1200, 1);
    if (m != NULL) {
        CHECK_ADDR(&m->from, &client);
        CHECK_ADDR(&m->to, &d.address);
        CXPLAT_ROUTE back = route_to(d.server, &m->from);
        back.LocalAddress = m->to;
        send_pattern(d.server, &back, 1100, 2);
        CHECK(inbox_wait(&d.client_in, INBOX_DATAGRAMS, 1));
        const struct mail *answer = inbox_mail(&d.client_in, 0);
        check_mail(answer, 1100, 2);
        if (answer != NULL) {
            CHECK_ADDR(&answer->from, &d.address);
            CHECK_ADDR(&answer->to, &client); /* core compares it with the socket's own */
        }
    }
    duo_close(&d);
}

TEST(ipv4_there_and_back)
{
    talk(1, "127.0.0.1");
    talk(4, "127.0.0.1");
}

TEST(ipv6_there_and_back)
{
    talk(1, "::1");
    talk(4, "::1");
}

/* A server that is given no address serves both families, and tells them apart. */
TEST(dual_mode_server)
{
    struct rig rig;
    struct inbox in;
    REQUIRE(rig_open(&rig, 2));
    inbox_init(&in, &rig);
    CXPLAT_SOCKET *server = rig_udp(&rig, &in, NULL, NULL);
    REQUIRE(server != NULL);
    QUIC_ADDR local = socket_local(server);
    uint16_t port = addr_port(&local);
    QUIC_ADDR any = addr_any(port);
    CHECK_ADDR(&local, &any);
    CHECK(port != 0);
    static const char *const ips[] = {"127.0.0.1", "::1"};
    for (unsigned i = 0; i < 2; i++) {
        QUIC_ADDR mine = addr(ips[i], 0), to = addr(ips[i], port);
        int fd = peer_udp(&mine);
        uint8_t data[10];
        pattern_fill(data, sizeof(data), i);
        CHECK(peer_send(fd, &to, data, sizeof(data)));
        CHECK(inbox_wait(&in, INBOX_DATAGRAMS, i + 1));
        const struct mail *m = inbox_mail(&in, i);
        QUIC_ADDR from = peer_address(fd);
        check_mail(m, sizeof(data), i);
        if (m != NULL) {
            CHECK_ADDR(&m->from, &from);
            CHECK_ADDR(&m->to, &to);
        }
        close(fd);
    }
    rig_delete(server, &in);
    rig_close(&rig);
    inbox_free(&in);
}

/* 0.0.0.0 takes IPv4 alone, and says so. */
TEST(ipv4_wildcard_server)
{
    struct rig rig;
    struct inbox in;
    REQUIRE(rig_open(&rig, 1));
    inbox_init(&in, &rig);
    QUIC_ADDR any4 = addr("0.0.0.0", 0), loop6 = addr("::1", 0), loop4 = addr("127.0.0.1", 0);
    CXPLAT_SOCKET *server = rig_udp(&rig, &in, &any4, NULL);
    REQUIRE(server != NULL);
    QUIC_ADDR local = socket_local(server);
    uint16_t port = addr_port(&local);
    any4 = addr_with_port(any4, port);
    CHECK_ADDR(&local, &any4);
    int fd6 = peer_udp(&loop6), fd4 = peer_udp(&loop4);
    QUIC_ADDR to6 = addr("::1", port), to4 = addr("127.0.0.1", port);
    CHECK(peer_send(fd6, &to6, "six", 3));
    CHECK(peer_send(fd4, &to4, "four", 4));
    CHECK(inbox_wait(&in, INBOX_DATAGRAMS, 1));
    const struct mail *m = inbox_mail(&in, 0);
    CHECK(m != NULL && m->length == 4); /* the IPv6 one was earlier, and is not there */
    CHECK(inbox_mail(&in, 1) == NULL);
    close(fd6);
    close(fd4);
    rig_delete(server, &in);
    rig_close(&rig);
    inbox_free(&in);
}

/* ---- what a socket says of itself ---- */

TEST(addresses_of_sockets)
{
    struct duo d;
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    QUIC_ADDR remote = socket_remote(d.client), local = socket_local(d.client), zero;
    memset(&zero, 0, sizeof(zero));
    CHECK_ADDR(&remote, &d.address);
    QUIC_ADDR loopback = addr("127.0.0.1", addr_port(&local)); /* the kernel's choice of a source */
    CHECK_ADDR(&local, &loopback);
    CHECK(addr_port(&local) != 0);
    CHECK(addr_port(&local) != addr_port(&remote));
    CHECK_EQ(local.Ipv6.sin6_scope_id, 0);
    remote = socket_remote(d.server);
    CHECK(memcmp(&remote, &zero, sizeof(zero)) == 0);
    CHECK(!CxPlatSocketRawSocketAvailable(d.client));
    CHECK(!CxPlatSocketGetQtipEnabled(d.client));
    CHECK_EQ(CxPlatSocketGetLocalMtu(d.client, &d.route), CXPLAT_MAX_MTU);
    CHECK_EQ(CxPlatSocketUpdateQeo(d.client, NULL, 0), QUIC_STATUS_NOT_SUPPORTED);
    duo_close(&d);
}

/* ---- sizes ---- */

static void try_sizes(const char *ip, const uint16_t *sizes, unsigned count)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, ip));
    for (unsigned i = 0; i < count; i++) {
        check_mail(duo_exchange(&d, sizes[i], i), sizes[i], i);
    }
    duo_close(&d);
}

/* The largest is what fits the MTU of lo, 65536, or for IPv4 the length field of IP. */
TEST(sizes_from_one_to_the_largest)
{
    static const uint16_t sizes[] = {1,    2,    3,    100,   1199,  1200,  1252, 1452,
                                     1472, 1473, 9000, 16384, 32767, 32768, 65488};
    static const uint16_t sizes4[] = {65489, 65506, 65507};
    try_sizes("127.0.0.1", sizes, sizeof(sizes) / sizeof(sizes[0]));
    try_sizes("::1", sizes, sizeof(sizes) / sizeof(sizes[0]));
    try_sizes("127.0.0.1", sizes4, sizeof(sizes4) / sizeof(sizes4[0]));
}

/* QUIC has no empty datagrams: one that arrives is not delivered, and stops nothing. */
TEST(empty_datagrams_are_dropped)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    QUIC_ADDR mine = addr("127.0.0.1", 0);
    int fd = peer_udp(&mine);
    for (int i = 0; i < 20; i++) {
        CHECK(peer_send(fd, &d.address, "", 0));
    }
    CHECK(peer_send(fd, &d.address, "x", 1));
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 1));
    CHECK_EQ(inbox_count(&d.server_in, INBOX_BYTES), 1);
    CHECK_EQ(inbox_count(&d.server_in, INBOX_DATAGRAMS), 1);
    close(fd);
    duo_close(&d);
}

/* ---- connected and not ---- */

/* A client hears its peer alone. */
TEST(strangers_are_not_heard_by_clients)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    QUIC_ADDR mine = addr("127.0.0.1", 0), client = socket_local(d.client);
    int fd = peer_udp(&mine);
    CHECK(peer_send(fd, &client, "stranger", 8));
    CXPLAT_ROUTE route = route_to(d.server, &client);
    send_bytes(d.server, &route, "friend", 6);
    CHECK(inbox_wait(&d.client_in, INBOX_DATAGRAMS, 1));
    const struct mail *m = inbox_mail(&d.client_in, 0);
    CHECK(m != NULL && m->length == 6);
    CHECK_EQ(inbox_count(&d.client_in, INBOX_DATAGRAMS), 1);
    close(fd);
    duo_close(&d);
}

/* The destination is the route's, also on a connected socket. */
TEST(the_route_names_the_destination)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    QUIC_ADDR mine = addr("127.0.0.1", 0), client = socket_local(d.client);
    int fd = peer_udp(&mine);
    QUIC_ADDR other = peer_address(fd);
    static struct peer_packet packet;
    CXPLAT_ROUTE route = d.route;
    route.RemoteAddress = other;
    CHECK(send_pattern(d.client, &route, 333, 3));
    CHECK(peer_receive(fd, &packet));
    CHECK_EQ(packet.length, 333);
    CHECK(pattern_holds(packet.data, packet.length, 3));
    CHECK_ADDR(&packet.from, &client);
    close(fd);
    duo_close(&d);
}

/* The route at the send counts, not the one at the allocation, which may be gone by then. */
TEST(the_route_of_the_send_counts)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    QUIC_ADDR mine = addr("127.0.0.1", 0);
    int fd = peer_udp(&mine);
    QUIC_BUFFER *buffer;
    CXPLAT_ROUTE first = d.route;
    CXPLAT_SEND_DATA *send = send_open(d.client, &first, 0, 50, &buffer);
    if (send != NULL) {
        pattern_fill(buffer->Buffer, 50, 4);
        CXPLAT_ROUTE second = first;
        second.RemoteAddress = peer_address(fd);
        memset(&first, 0x77, sizeof(first));
        CxPlatSocketSend(d.client, &second, send);
        memset(&second, 0x77, sizeof(second));
        static struct peer_packet packet;
        CHECK(peer_receive(fd, &packet));
        CHECK(packet.length == 50 && pattern_holds(packet.data, 50, 4));
    }
    close(fd);
    duo_close(&d);
}

/* ---- PCP ---- */

static struct inbox *pcp_in;
static CXPLAT_SOCKET *pcp_socket;

static void pcp_receive(CXPLAT_SOCKET *Socket, void *Context, CXPLAT_RECV_DATA *RecvDataChain)
{
    CHECK(Socket == pcp_socket);
    CHECK(Context == pcp_in);
    inbox_udp.Receive(Socket, Context, RecvDataChain);
}

/* Works without UDP callbacks; receives through its own symbol; hears of no unreachable peer. */
TEST(pcp_sockets_have_a_receiver_of_their_own)
{
    struct rig rig = {.pool = host_pool_create(1, NULL)};
    struct inbox in;
    inbox_init(&in, &rig);
    CHECK_OK(
        CxPlatDataPathInitialize(RIG_CONTEXT_LENGTH, NULL, NULL, rig.pool, NULL, &rig.datapath));
    QUIC_ADDR mine = addr("127.0.0.1", 0);
    int fd = peer_udp(&mine);
    QUIC_ADDR peer = peer_address(fd);
    pcp_in = &in;
    host_set_pcp_receive(pcp_receive);
    CXPLAT_UDP_CONFIG config = {
        .RemoteAddress = &peer, .Flags = CXPLAT_SOCKET_FLAG_PCP, .CallbackContext = &in};
    CHECK_OK(CxPlatSocketCreateUdp(rig.datapath, &config, &pcp_socket));
    QUIC_ADDR local = socket_local(pcp_socket);
    CXPLAT_ROUTE route = route_of(pcp_socket);
    CHECK(peer_send(fd, &local, "pcp", 3));
    CHECK(inbox_wait(&in, INBOX_DATAGRAMS, 1));
    close(fd); /* from here on the peer refuses */
    for (int i = 0; i < 5; i++) {
        send_bytes(pcp_socket, &route, "anybody?", 8);
        CHECK(host_pool_wait_round(rig.pool, 0));
    }
    CHECK_EQ(inbox_count(&in, INBOX_UNREACHABLE), 0);
    rig_delete(pcp_socket, &in);
    host_set_pcp_receive(NULL);
    rig_close(&rig);
    inbox_free(&in);
}

/* ---- many at once ---- */

enum { SENDERS = 4, EACH = 2000 };

struct sender {
    pthread_t thread;
    struct duo *d;
    uint32_t number;
    struct gauge *window; /* datagrams that have arrived */
};

static void *send_many(void *arg)
{
    struct sender *s = arg;
    CXPLAT_ROUTE route = s->d->route;
    for (uint32_t i = 0; i < EACH; i++) {
        uint32_t words[2] = {s->number, i};
        /* At most 200 of each sender on their way, so that the receive buffer cannot overflow. */
        if (i >= 200 && !CHECK(gauge_wait(&s->window[s->number], i - 199))) {
            break;
        }
        send_bytes(s->d->client, &route, words, sizeof(words));
    }
    return NULL;
}

struct arrivals {
    struct gauge window[SENDERS];
    uint32_t next[SENDERS];
};

/* One partition serves one client: so this runs on one thread at a time. */
static bool check_order(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    (void)socket;
    struct arrivals *a = in->user;
    for (CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next) {
        uint32_t words[2];
        CHECK_EQ(data->BufferLength, sizeof(words));
        memcpy(words, data->Buffer, sizeof(words));
        if (CHECK(words[0] < SENDERS)) {
            CHECK_EQ(words[1], a->next[words[0]]);
            a->next[words[0]] = words[1] + 1;
            gauge_add(&a->window[words[0]], 1);
        }
    }
    CxPlatRecvDataReturn(chain);
    return true;
}

/* Threads may send on one socket at once; what one of them sends arrives in its order. */
TEST(concurrent_senders_keep_their_order)
{
    struct duo d;
    static struct arrivals a;
    memset(&a, 0, sizeof(a));
    REQUIRE(netns_keep_order_on_lo());
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    d.server_in.user = &a;
    d.server_in.on_receive = check_order;
    struct sender senders[SENDERS];
    for (uint32_t i = 0; i < SENDERS; i++) {
        gauge_init(&a.window[i]);
    }
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.d = &d, .number = i, .window = a.window};
        pthread_create(&senders[i].thread, NULL, send_many, &senders[i]);
    }
    for (uint32_t i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
        CHECK(gauge_wait(&a.window[i], EACH));
    }
    duo_close(&d);
    for (uint32_t i = 0; i < SENDERS; i++) {
        gauge_destroy(&a.window[i]);
    }
}

/* Wherever its sender runs: a flow is received by one CPU, and so read by one partition. */
TEST(a_flow_stays_on_one_partition)
{
    struct duo d;
    REQUIRE(netns_keep_order_on_lo());
    REQUIRE(duo_open(&d, 4, "127.0.0.1"));
    QUIC_ADDR mine = addr("127.0.0.1", 0);
    int fd = peer_udp(&mine);
    for (unsigned i = 0; i < 50; i++) {
        CHECK(peer_send(fd, &d.address, &i, sizeof(i)));
        CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, i + 1));
        const struct mail *first = inbox_mail(&d.server_in, 0), *m = inbox_mail(&d.server_in, i);
        if (CHECK(first != NULL && m != NULL)) {
            CHECK_EQ(m->partition, first->partition);
            CHECK(pthread_equal(m->thread, first->thread));
        }
    }
    close(fd);
    duo_close(&d);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(ipv4_there_and_back),
    CASE(ipv6_there_and_back),
    CASE(dual_mode_server),
    CASE(ipv4_wildcard_server),
    CASE(addresses_of_sockets),
    CASE(sizes_from_one_to_the_largest),
    CASE(empty_datagrams_are_dropped),
    CASE(strangers_are_not_heard_by_clients),
    CASE(the_route_names_the_destination),
    CASE(the_route_of_the_send_counts),
    CASE(pcp_sockets_have_a_receiver_of_their_own),
    CASE(concurrent_senders_keep_their_order),
    CASE(a_flow_stays_on_one_partition))
