/* SPDX-License-Identifier: MIT */
/* udp_port_test.c - the address, port, partition and interface that a UDP socket gets, or not. */
#define _GNU_SOURCE
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/link.h"
#include "host/pattern.h"
#include "host/peer.h"

/* Creates with this configuration, which must be refused with `want` and leave *out NULL. */
static void check_refused(struct rig *rig, const CXPLAT_UDP_CONFIG *config, QUIC_STATUS want)
{
    CXPLAT_SOCKET *socket = (CXPLAT_SOCKET *)(uintptr_t)0x5a5a;
    QUIC_STATUS status = CxPlatSocketCreateUdp(rig->datapath, config, &socket);
    CHECK_REFUSED(status, want);
    if (QUIC_SUCCEEDED(status)) {
        CxPlatSocketDelete(socket);
    } else {
        CHECK(socket == NULL);
    }
}

/* The ephemeral ports of this network namespace. */
static bool set_port_range(unsigned from, unsigned to)
{
    FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "w");
    return f != NULL && fprintf(f, "%u %u\n", from, to) > 0 && fclose(f) == 0;
}

/* ---- ports ---- */

/* Port 0 gives one port, the same on every partition: whatever CPU receives, it arrives. */
static void serve_all_partitions(uint32_t workers)
{
    struct duo d;
    REQUIRE(duo_open(&d, workers, "127.0.0.1"));
    CHECK(addr_port(&d.address) != 0);
    for (unsigned i = 0; i < 64; i++) { /* each from another port, so that the hash differs too */
        QUIC_ADDR mine = addr("127.0.0.1", 0);
        int fd = peer_udp(&mine);
        CHECK(peer_send(fd, &d.address, &i, sizeof(i)));
        close(fd);
    }
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 64));
    duo_close(&d);
}

TEST(port_0_is_one_port_for_all_partitions)
{
    for (uint32_t workers = 1; workers <= 8; workers *= 2) {
        serve_all_partitions(workers);
    }
}

TEST(a_given_port_is_the_port)
{
    struct rig rig;
    struct inbox in;
    REQUIRE(rig_open(&rig, 2));
    QUIC_ADDR want = addr("127.0.0.1", 4433);
    for (int again = 0; again < 3; again++) {
        inbox_init(&in, &rig);
        CXPLAT_SOCKET *socket = rig_udp(&rig, &in, &want, NULL);
        REQUIRE(socket != NULL);
        QUIC_ADDR local = socket_local(socket);
        CHECK_ADDR(&local, &want);
        rig_delete(socket, &in);
        inbox_free(&in);
    }
    rig_close(&rig);
}

/*
 * Servers that ask for any port get different ones, and when none is left they are refused. With
 * SO_REUSEPORT set at bind, Linux gives out a port that another socket of this user has.
 */
TEST(port_0_never_gives_a_port_that_is_taken)
{
    enum { PORTS = 4 };
    struct rig rig;
    struct inbox in[PORTS];
    CXPLAT_SOCKET *socket[PORTS] = {NULL};
    REQUIRE(rig_open(&rig, 2));
    REQUIRE(set_port_range(40000, 40000 + PORTS - 1));
    QUIC_ADDR local = addr("127.0.0.1", 0);
    bool used[PORTS] = {false};
    for (int i = 0; i < PORTS; i++) {
        inbox_init(&in[i], &rig);
        socket[i] = rig_udp(&rig, &in[i], &local, NULL);
        if (socket[i] != NULL) {
            QUIC_ADDR a = socket_local(socket[i]);
            CHECK(!used[addr_port(&a) - 40000]);
            used[addr_port(&a) - 40000] = true;
        }
    }
    CXPLAT_UDP_CONFIG config = {.LocalAddress = &local, .CallbackContext = &in[0]};
    check_refused(&rig, &config, QUIC_STATUS_ADDRESS_IN_USE);
    for (int i = 0; i < PORTS; i++) {
        rig_delete(socket[i], &in[i]);
        inbox_free(&in[i]);
    }
    CHECK(set_port_range(32768, 60999));
    rig_close(&rig);
}

/* With equal ports core could not tell both ends apart on one host. */
TEST(a_client_never_gets_its_peers_port_number)
{
    struct rig rig;
    struct inbox in;
    REQUIRE(rig_open(&rig, 2));
    REQUIRE(set_port_range(41000, 41001));
    QUIC_ADDR remote = addr("127.0.0.9", 41000);
    for (int i = 0; i < 20; i++) {
        inbox_init(&in, &rig);
        CXPLAT_SOCKET *socket = rig_udp(&rig, &in, NULL, &remote);
        if (socket != NULL) {
            QUIC_ADDR local = socket_local(socket);
            CHECK_EQ(addr_port(&local), 41001);
        }
        rig_delete(socket, &in);
        inbox_free(&in);
    }
    CHECK(set_port_range(32768, 60999));
    rig_close(&rig);
}

TEST(a_second_server_on_one_partition_is_refused)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    CXPLAT_UDP_CONFIG config = {.LocalAddress = &d.address, .CallbackContext = &d.server_in};
    check_refused(&d.rig, &config, QUIC_STATUS_ADDRESS_IN_USE);
    QUIC_ADDR any = addr_any(addr_port(&d.address));
    config.LocalAddress = &any;
    check_refused(&d.rig, &config, QUIC_STATUS_ADDRESS_IN_USE);
    CHECK(duo_exchange(&d, 100, 1) != NULL); /* the first one lives on */
    duo_close(&d);
}

/* A client's port is its own: nobody binds it, not even with SO_REUSEPORT. */
TEST(a_clients_port_is_its_own)
{
    struct duo d;
    REQUIRE(duo_open(&d, 4, "127.0.0.1"));
    QUIC_ADDR local = socket_local(d.client);
    CXPLAT_UDP_CONFIG config = {.LocalAddress = &local, .CallbackContext = &d.client_in};
    check_refused(&d.rig, &config, QUIC_STATUS_ADDRESS_IN_USE);
    config.RemoteAddress = &d.address;
    check_refused(&d.rig, &config, QUIC_STATUS_ADDRESS_IN_USE);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(peer_set(fd, SOL_SOCKET, SO_REUSEPORT, 1));
    CHECK(bind(fd, &local.Ip, sizeof(local.Ipv4)) != 0);
    close(fd);
    duo_close(&d);
}

TEST(a_port_of_somebody_else_is_in_use)
{
    struct rig rig;
    REQUIRE(rig_open(&rig, 4));
    QUIC_ADDR mine = addr("127.0.0.1", 0);
    int fd = peer_udp(&mine);
    QUIC_ADDR taken = peer_address(fd);
    CXPLAT_UDP_CONFIG config = {.LocalAddress = &taken};
    check_refused(&rig, &config, QUIC_STATUS_ADDRESS_IN_USE);
    config.RemoteAddress = &taken;
    check_refused(&rig, &config, QUIC_STATUS_ADDRESS_IN_USE);
    close(fd);
    rig_close(&rig);
}

/* ---- sharing ---- */

/* One local address, two remotes: each client hears its own peer alone. */
TEST(shared_clients_hear_their_own_peer)
{
    struct rig rig;
    struct inbox in[4];
    CXPLAT_SOCKET *socket[4]; /* two servers, two clients */
    REQUIRE(rig_open(&rig, 4));
    QUIC_ADDR loopback = addr("127.0.0.1", 0), server[2], shared;
    for (int i = 0; i < 4; i++) {
        inbox_init(&in[i], &rig);
    }
    for (int i = 0; i < 2; i++) {
        socket[i] = rig_udp(&rig, &in[i], &loopback, NULL);
        server[i] = socket_local(socket[i]);
    }
    socket[2] = rig_udp_flags(&rig, &in[2], NULL, &server[0], CXPLAT_SOCKET_FLAG_SHARE);
    REQUIRE(socket[2] != NULL);
    shared = socket_local(socket[2]);
    socket[3] = rig_udp_flags(&rig, &in[3], &shared, &server[1], CXPLAT_SOCKET_FLAG_SHARE);
    REQUIRE(socket[3] != NULL);
    QUIC_ADDR second = socket_local(socket[3]);
    CHECK_ADDR(&second, &shared);
    for (uint32_t i = 0; i < 2; i++) {
        CXPLAT_ROUTE out = route_of(socket[2 + i]), back = route_to(socket[i], &shared);
        send_pattern(socket[2 + i], &out, 100, i);
        CHECK(inbox_wait(&in[i], INBOX_DATAGRAMS, 1));
        send_pattern(socket[i], &back, 200, i);
        CHECK(inbox_wait(&in[2 + i], INBOX_DATAGRAMS, 1));
        const struct mail *m = inbox_mail(&in[2 + i], 0);
        CHECK(m != NULL && m->length == 200 && pattern_holds(m->data, 200, i));
    }
    for (int i = 3; i >= 0; i--) {
        CHECK_EQ(inbox_count(&in[i], INBOX_DATAGRAMS), 1);
        rig_delete(socket[i], &in[i]);
    }
    rig_close(&rig);
    for (int i = 0; i < 4; i++) {
        inbox_free(&in[i]);
    }
}

/* ---- partitions ---- */

/* PARTITIONED, and a client, live on PartitionIndex; out of range it is taken modulo the count. */
static void try_partition(struct rig *rig, CXPLAT_SOCKET_FLAGS flags, uint16_t index)
{
    struct inbox in;
    CXPLAT_SOCKET *socket = NULL;
    QUIC_ADDR local = addr("127.0.0.1", 0);
    int fd = peer_udp(&local);
    QUIC_ADDR peer = peer_address(fd);
    inbox_init(&in, rig);
    CXPLAT_UDP_CONFIG config = {
        .LocalAddress = &local,
        .RemoteAddress = flags == 0 ? &peer : NULL,
        .Flags = flags,
        .PartitionIndex = index,
        .CallbackContext = &in,
    };
    if (CHECK_OK(CxPlatSocketCreateUdp(rig->datapath, &config, &socket))) {
        QUIC_ADDR to = socket_local(socket);
        CHECK(peer_send(fd, &to, "here", 4));
        CHECK(inbox_wait(&in, INBOX_DATAGRAMS, 1));
        const struct mail *m = inbox_mail(&in, 0);
        CHECK(m != NULL && m->partition == index % CxPlatWorkerPoolGetCount(rig->pool));
    }
    rig_delete(socket, &in);
    close(fd);
    inbox_free(&in);
}

TEST(one_partition_is_the_one_asked_for)
{
    static const uint16_t indices[] = {0, 1, 2, 3, 100, 65535};
    struct rig rig;
    REQUIRE(rig_open(&rig, 3));
    for (unsigned i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
        try_partition(&rig, CXPLAT_SOCKET_FLAG_PARTITIONED, indices[i]);
        try_partition(&rig, CXPLAT_SOCKET_FLAG_NONE, indices[i]);
    }
    rig_close(&rig);
}

/* Sends from one CPU; on lo that one receives, too. Each time from another port. */
static void send_on_cpu(int cpu, const QUIC_ADDR *to, unsigned count)
{
    cpu_set_t before, one;
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_getaffinity(0, sizeof(before), &before);
    CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
    for (unsigned i = 0; i < count; i++) {
        int fd = peer_udp(&loopback);
        CHECK(peer_send(fd, to, "here", 4));
        close(fd);
    }
    sched_setaffinity(0, sizeof(before), &before);
}

/* A datagram is read by the partition whose worker belongs to the CPU that received it. */
TEST(datagrams_stay_on_their_cpu)
{
    enum { COUNT = 20 };
    static const uint16_t processors[] = {1, 0};
    struct rig rig = {0};
    struct inbox in;
    if (CxPlatProcessorCount < 2) {
        SKIP("one processor");
    }
    rig.pool = host_pool_create(2, processors);
    inbox_init(&in, &rig);
    CHECK_OK(CxPlatDataPathInitialize(
        RIG_CONTEXT_LENGTH, &inbox_udp, NULL, rig.pool, NULL, &rig.datapath));
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    CXPLAT_SOCKET *server = rig_udp(&rig, &in, &loopback, NULL);
    QUIC_ADDR to = socket_local(server);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        inbox_clear(&in);
        send_on_cpu((int)cpu, &to, COUNT);
        CHECK(inbox_wait(&in, INBOX_DATAGRAMS, COUNT));
        for (unsigned i = 0; i < COUNT; i++) {
            const struct mail *m = inbox_mail(&in, i);
            CHECK(m != NULL && processors[m->partition] == cpu);
        }
    }
    rig_delete(server, &in);
    rig_close(&rig);
    inbox_free(&in);
}

/* ---- interfaces ---- */

static bool add_interface(const char *ip)
{
    QUIC_ADDR a = addr(ip, 0);
    return link_add_veth("veth0", "veth1") && link_add_address("veth0", &a, 24) &&
           link_up("veth0") && link_up("veth1");
}

/* Bound to an interface, a client reaches nothing by another one. */
TEST(an_interface_index_is_honoured)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    REQUIRE(add_interface("10.77.0.1"));
    struct inbox lo_in, veth_in;
    inbox_init(&lo_in, &d.rig);
    inbox_init(&veth_in, &d.rig);
    CXPLAT_SOCKET *lo = NULL, *veth = NULL;
    CXPLAT_UDP_CONFIG config = {.RemoteAddress = &d.address, .CallbackContext = &veth_in};
    config.InterfaceIndex = if_nametoindex("veth0");
    QUIC_STATUS status = CxPlatSocketCreateUdp(d.rig.datapath, &config, &veth);
    if (QUIC_SUCCEEDED(status)) { /* else: it has found out already that there is no way */
        CXPLAT_ROUTE route = route_of(veth);
        send_pattern(veth, &route, 77, 1);
    }
    config.InterfaceIndex = if_nametoindex("lo");
    config.CallbackContext = &lo_in;
    CHECK_OK(CxPlatSocketCreateUdp(d.rig.datapath, &config, &lo));
    CXPLAT_ROUTE route = route_of(lo);
    send_pattern(lo, &route, 78, 2);
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 1));
    const struct mail *m = inbox_mail(&d.server_in, 0);
    CHECK(m != NULL && m->length == 78); /* the one sent first is not there */
    rig_delete(lo, &lo_in);
    rig_delete(veth, &veth_in);
    inbox_free(&lo_in);
    inbox_free(&veth_in);
    duo_close(&d);
    CHECK(link_delete("veth0"));
}

TEST(an_unknown_interface_is_refused)
{
    struct rig rig;
    REQUIRE(rig_open(&rig, 1));
    CXPLAT_UDP_CONFIG config = {.InterfaceIndex = 0xdead};
    CXPLAT_SOCKET *socket = NULL;
    QUIC_STATUS status = CxPlatSocketCreateUdp(rig.datapath, &config, &socket);
    if (!CHECK(QUIC_FAILED(status))) {
        CxPlatSocketDelete(socket); /* a socket that hears and reaches nobody */
        socket = NULL;
    }
    CHECK(socket == NULL);
    CHECK(msquicxdp_last_reason(NULL, 0) > 0);
    rig_close(&rig);
}

/* ---- addresses that do not go together ---- */

TEST(ipv4_local_with_ipv6_remote_is_refused)
{
    struct rig rig;
    REQUIRE(rig_open(&rig, 2));
    QUIC_ADDR local = addr("127.0.0.1", 0), remote = addr("::1", 4433);
    CXPLAT_UDP_CONFIG config = {.LocalAddress = &local, .RemoteAddress = &remote};
    check_refused(&rig, &config, QUIC_STATUS_INVALID_ADDRESS);
    rig_close(&rig);
}

TEST(an_address_of_another_host_is_refused)
{
    struct rig rig;
    REQUIRE(rig_open(&rig, 2));
    QUIC_ADDR local = addr("192.0.2.1", 0), far = addr("192.0.2.2", 4433);
    CXPLAT_UDP_CONFIG config = {.LocalAddress = &local};
    check_refused(&rig, &config, QUIC_STATUS_ADDRESS_NOT_AVAILABLE);
    CXPLAT_UDP_CONFIG client = {.RemoteAddress = &far}; /* no route leads there */
    check_refused(&rig, &client, (QUIC_STATUS)ENETUNREACH);
    rig_close(&rig);
}

/* ---- flags without an effect here, and those that cannot be had ---- */

TEST(flags_without_xdp)
{
    struct duo d;
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    struct inbox in;
    inbox_init(&in, &d.rig);
    CXPLAT_SOCKET *socket = rig_udp_flags(&d.rig, &in, NULL, &d.address, CXPLAT_SOCKET_FLAG_XDP);
    CHECK(socket != NULL && !CxPlatSocketRawSocketAvailable(socket)); /* loopback needs none */
    rig_delete(socket, &in);
    inbox_free(&in);
    inbox_init(&in, &d.rig);
    socket = rig_udp_flags(
        &d.rig, &in, NULL, NULL,
        (CXPLAT_SOCKET_FLAGS)(CXPLAT_SOCKET_SERVER_OWNED | CXPLAT_SOCKET_FLAG_SHARE));
    CHECK(socket != NULL);
    rig_delete(socket, &in);
    CXPLAT_UDP_CONFIG qtip = {.RemoteAddress = &d.address, .Flags = CXPLAT_SOCKET_FLAG_QTIP};
    check_refused(&d.rig, &qtip, QUIC_STATUS_INVALID_STATE);
    inbox_free(&in);
    duo_close(&d);
}

/* A CIBIR server serves its port, alone or shared; without raw sockets too. */
TEST(a_cibir_server_serves)
{
    struct rig rig;
    struct inbox in;
    REQUIRE(rig_open(&rig, 2));
    inbox_init(&in, &rig);
    CXPLAT_SOCKET *socket = NULL;
    CXPLAT_UDP_CONFIG config = {
        .Flags = (CXPLAT_SOCKET_FLAGS)(CXPLAT_SOCKET_SERVER_OWNED | CXPLAT_SOCKET_FLAG_SHARE),
        .CallbackContext = &in,
        .CibirIdLength = 4,
        .CibirIdOffsetSrc = 2,
        .CibirIdOffsetDst = 2,
        .CibirId = {1, 2, 3, 4},
    };
    CHECK_OK(CxPlatSocketCreateUdp(rig.datapath, &config, &socket));
    QUIC_ADDR mine = addr("127.0.0.1", 0), local = socket_local(socket);
    QUIC_ADDR to = addr("127.0.0.1", addr_port(&local));
    /* Long header, version 1, destination ID of 8 bytes, identifier at 2 in the source ID. */
    static const uint8_t initial[] = {0xc0, 0, 0, 0, 1, 8, 9, 9, 9, 9, 9, 9, 9, 9,
                                      8,    0, 0, 1, 2, 3, 4, 0, 0, 5, 5, 5, 5, 5};
    int fd = peer_udp(&mine);
    CHECK(peer_send(fd, &to, initial, sizeof(initial)));
    CHECK(inbox_wait(&in, INBOX_DATAGRAMS, 1));
    close(fd);
    rig_delete(socket, &in);
    rig_close(&rig);
    inbox_free(&in);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(port_0_is_one_port_for_all_partitions),
    CASE(a_given_port_is_the_port),
    CASE(port_0_never_gives_a_port_that_is_taken),
    CASE(a_client_never_gets_its_peers_port_number),
    CASE(a_second_server_on_one_partition_is_refused),
    CASE(a_clients_port_is_its_own),
    CASE(a_port_of_somebody_else_is_in_use),
    CASE(shared_clients_hear_their_own_peer),
    CASE(one_partition_is_the_one_asked_for),
    CASE(datagrams_stay_on_their_cpu),
    CASE(an_interface_index_is_honoured),
    CASE(an_unknown_interface_is_refused),
    CASE(ipv4_local_with_ipv6_remote_is_refused),
    CASE(an_address_of_another_host_is_refused),
    CASE(flags_without_xdp),
    CASE(a_cibir_server_serves))
