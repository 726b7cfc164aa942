/* SPDX-License-Identifier: MIT */
/* tcp_test.c - connections: made, refused, accepted, rejected, and ended by the other side. */
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/link.h"
#include "host/peer.h"

enum { DISCONNECT_MS = 500 }; /* how fast core's tests want to know */

/* ---- connecting ---- */

static void connect_once(uint32_t workers, const char *ip)
{
    struct duo d;
    REQUIRE(duo_open_tcp(&d, workers, ip));
    QUIC_ADDR client = socket_local(d.client), accepted = socket_local(d.accepted);
    QUIC_ADDR client_remote = socket_remote(d.client), remote = socket_remote(d.accepted);
    CHECK_ADDR(&client_remote, &d.address);
    CHECK_ADDR(&accepted, &d.address);
    CHECK_ADDR(&remote, &client);
    send_bytes(d.client, &d.route, "ping", 4);
    CHECK(inbox_wait(&d.accepted_in, INBOX_BYTES, 4));
    CXPLAT_ROUTE back = route_of(d.accepted);
    send_bytes(d.accepted, &back, "pong!", 5);
    CHECK(inbox_wait(&d.client_in, INBOX_BYTES, 5));
    CHECK_EQ(inbox_count(&d.client_in, INBOX_CONNECTED), 1);
    CHECK_EQ(inbox_count(&d.client_in, INBOX_DISCONNECTED), 0);
    CHECK_EQ(inbox_count(&d.accepted_in, INBOX_CONNECTED), 0);
    CHECK_EQ(inbox_count(&d.server_in, INBOX_ACCEPTED), 1);
    duo_close(&d);
}

TEST(connections_are_made)
{
    connect_once(1, "127.0.0.1");
    connect_once(4, "127.0.0.1");
    connect_once(1, "::1");
    connect_once(4, "::1");
}

/* The port is known before the connection stands: core prints it, perf uses it. */
TEST(a_connecting_socket_has_a_port)
{
    struct rig rig;
    struct inbox in;
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    int fd = peer_tcp_listener(&loopback);
    QUIC_ADDR remote = peer_address(fd);
    REQUIRE(rig_open_external(&rig, 1)); /* nobody polls: it cannot have learnt that it stands */
    inbox_init(&in, &rig);
    CXPLAT_SOCKET *socket = rig_tcp(&rig, &in, &remote);
    QUIC_ADDR local = socket_local(socket);
    CHECK(addr_port(&local) != 0);
    CHECK(inbox_wait(&in, INBOX_CONNECTED, 1));
    QUIC_ADDR later = socket_local(socket), want = addr("127.0.0.1", addr_port(&local));
    CHECK_ADDR(&later, &want);
    rig_delete(socket, &in);
    close(fd);
    rig_close(&rig);
    inbox_free(&in);
}

TEST(a_local_address_is_honoured)
{
    struct rig rig;
    struct inbox in;
    CXPLAT_SOCKET *socket = NULL;
    QUIC_ADDR loopback = addr("127.0.0.1", 0), local = addr("127.0.0.77", 7777);
    int fd = peer_tcp_listener(&loopback);
    QUIC_ADDR remote = peer_address(fd);
    REQUIRE(rig_open(&rig, 1));
    inbox_init(&in, &rig);
    CHECK_OK(CxPlatSocketCreateTcp(rig.datapath, &local, &remote, &in, &socket));
    CHECK(inbox_wait(&in, INBOX_CONNECTED, 1));
    QUIC_ADDR got = socket_local(socket);
    CHECK_ADDR(&got, &local);
    rig_delete(socket, &in);
    close(fd);
    rig_close(&rig);
    inbox_free(&in);
}

/* FALSE once; TRUE never, although the kernel says "writable" for a refused socket too. */
static void try_refused(const char *ip)
{
    struct rig rig;
    struct inbox in;
    REQUIRE(rig_open(&rig, 2));
    for (int i = 0; i < 20; i++) {
        QUIC_ADDR closed = addr(ip, 1);
        inbox_init(&in, &rig);
        CXPLAT_SOCKET *socket = rig_tcp(&rig, &in, &closed);
        CHECK(inbox_wait(&in, INBOX_DISCONNECTED, 1));
        CHECK(host_pool_wait_round(rig.pool, 0) && host_pool_wait_round(rig.pool, 1));
        CHECK_EQ(inbox_count(&in, INBOX_CONNECTED), 0);
        CHECK_EQ(inbox_count(&in, INBOX_DISCONNECTED), 1);
        rig_delete(socket, &in);
        inbox_free(&in);
    }
    rig_close(&rig);
}

TEST(a_refused_connection_is_told_once)
{
    try_refused("127.0.0.1");
    try_refused("::1");
}

/* What was sent too early is completed as failed, once, when the connection is refused. */
TEST(sends_on_a_refused_connection_fail)
{
    struct rig rig;
    struct inbox in;
    QUIC_ADDR closed = addr("127.0.0.1", 1);
    REQUIRE(rig_open_external(&rig, 1));
    inbox_init(&in, &rig);
    CXPLAT_SOCKET *socket = rig_tcp(&rig, &in, &closed);
    CXPLAT_ROUTE route = route_of(socket);
    for (int i = 0; i < 3; i++) {
        send_bytes(socket, &route, "too early", 9);
    }
    CHECK(inbox_wait(&in, INBOX_DISCONNECTED, 1));
    CHECK(inbox_wait(&in, INBOX_COMPLETED, 3));
    CHECK(QUIC_FAILED(in.completion));
    send_bytes(socket, &route, "too late", 8);
    CHECK(inbox_wait(&in, INBOX_COMPLETED, 4));
    CHECK_EQ(host_pool_poll(rig.pool, 0, 0), 0);
    CHECK_EQ(inbox_count(&in, INBOX_COMPLETED), 4);
    CHECK_EQ(inbox_count(&in, INBOX_CONNECTED), 0);
    rig_delete(socket, &in);
    rig_close(&rig);
    inbox_free(&in);
}

/* What was sent too early is sent, in order, once the connection stands. */
TEST(sends_while_connecting_wait)
{
    struct rig rig;
    struct inbox in;
    char got[6];
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    int listener = peer_tcp_listener(&loopback);
    QUIC_ADDR remote = peer_address(listener);
    REQUIRE(rig_open_external(&rig, 1));
    inbox_init(&in, &rig);
    CXPLAT_SOCKET *socket = rig_tcp(&rig, &in, &remote);
    CXPLAT_ROUTE route = route_of(socket);
    send_bytes(socket, &route, "abc", 3);
    send_bytes(socket, &route, "def", 3);
    CHECK(inbox_wait(&in, INBOX_CONNECTED, 1));
    CHECK(inbox_wait(&in, INBOX_COMPLETED, 2));
    CHECK_EQ(in.completion, QUIC_STATUS_SUCCESS);
    int fd = accept(listener, NULL, NULL);
    CHECK(peer_read(fd, got, 6) && memcmp(got, "abcdef", 6) == 0);
    close(fd);
    close(listener);
    rig_delete(socket, &in);
    rig_close(&rig);
    inbox_free(&in);
}

/* Nobody leaves a port behind in TIME_WAIT: deleting a connection resets it. */
TEST(a_port_is_free_when_its_connection_is_deleted)
{
    struct rig rig;
    struct inbox in, listener_in, accepted_in;
    QUIC_ADDR loopback = addr("127.0.0.1", 0), local = addr("127.0.0.1", 7778);
    REQUIRE(rig_open(&rig, 1));
    inbox_init(&listener_in, &rig);
    inbox_init(&accepted_in, &rig);
    listener_in.accepting = &accepted_in;
    CXPLAT_SOCKET *listener = rig_listener(&rig, &listener_in, &loopback);
    QUIC_ADDR remote = socket_local(listener);
    for (unsigned i = 0; i < 20; i++) {
        CXPLAT_SOCKET *socket = NULL;
        inbox_init(&in, &rig);
        if (!CHECK_OK(CxPlatSocketCreateTcp(rig.datapath, &local, &remote, &in, &socket))) {
            inbox_free(&in);
            break;
        }
        CHECK(inbox_wait(&in, INBOX_CONNECTED, 1));
        CHECK(inbox_wait(&listener_in, INBOX_ACCEPTED, i + 1));
        CXPLAT_SOCKET *accepted = listener_in.accepted[i];
        CxPlatSocketDelete(i % 2 == 0 ? socket : accepted); /* either end may be the first */
        CxPlatSocketDelete(i % 2 == 0 ? accepted : socket);
        inbox_free(&in);
    }
    rig_delete(listener, &listener_in);
    rig_close(&rig);
    inbox_free(&accepted_in);
    inbox_free(&listener_in);
}

/* Nobody on the wire answers: the socket stays connecting, and can be deleted so. */
TEST(delete_while_connecting)
{
    QUIC_ADDR a = addr("10.79.0.1", 0), remote = addr("10.79.0.99", 4433);
    struct rig rig;
    struct inbox in;
    REQUIRE(link_add_veth("veth0", "veth1") && link_add_address("veth0", &a, 24));
    REQUIRE(link_up("veth0") && link_up("veth1"));
    REQUIRE(rig_open(&rig, 1));
    inbox_init(&in, &rig);
    CXPLAT_SOCKET *socket = rig_tcp(&rig, &in, &remote);
    CHECK(host_pool_wait_round(rig.pool, 0));
    CHECK_EQ(inbox_count(&in, INBOX_CONNECTED), 0);
    rig_delete(socket, &in);
    CHECK_EQ(inbox_count(&in, INBOX_DISCONNECTED), 0); /* never for our own delete */
    rig_close(&rig);
    inbox_free(&in);
    CHECK(link_delete("veth0"));
}

/*
 * An event of a deleted socket is dispatched seconds later (a thread can be held up for long), when
 * a connecting socket has its place. "Writable" is not for that one: it does not stand.
 */
TEST(a_late_event_connects_nobody)
{
    enum { NEWER = 8 };
    QUIC_ADDR a = addr("10.79.0.1", 0), nobody = addr("10.79.0.99", 4433),
              loopback = addr("127.0.0.1", 0);
    struct rig rig;
    struct inbox first, in[NEWER];
    CXPLAT_SOCKET *newer[NEWER];
    REQUIRE(link_add_veth("veth0", "veth1") && link_add_address("veth0", &a, 24));
    REQUIRE(link_up("veth0") && link_up("veth1"));
    REQUIRE(rig_open_external(&rig, 1));
    int fd = peer_tcp_listener(&loopback);
    QUIC_ADDR remote = peer_address(fd);
    inbox_init(&first, &rig);
    CXPLAT_SOCKET *socket = rig_tcp(&rig, &first, &remote);
    CHECK_EQ(host_pool_harvest(rig.pool, 0, 1000), 1);
    rig_delete(socket, &first);
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 200000000}, NULL); /* the hold-up itself */
    for (int i = 0; i < NEWER; i++) {
        inbox_init(&in[i], &rig);
        newer[i] = rig_tcp(&rig, &in[i], &nobody);
    }
    host_pool_dispatch(rig.pool, 0);
    for (int i = 0; i < NEWER; i++) {
        CHECK_EQ(inbox_count(&in[i], INBOX_CONNECTED), 0);
        rig_delete(newer[i], &in[i]);
        inbox_free(&in[i]);
    }
    close(fd);
    rig_close(&rig);
    inbox_free(&first);
    CHECK(link_delete("veth0"));
}

/* ---- listening ---- */

static void try_listener(const QUIC_ADDR *local)
{
    static const char *const ips[] = {"127.0.0.1", "::1"};
    struct rig rig;
    struct inbox in, accepted_in;
    REQUIRE(rig_open(&rig, 2));
    inbox_init(&in, &rig);
    inbox_init(&accepted_in, &rig);
    in.accepting = &accepted_in;
    CXPLAT_SOCKET *listener = rig_listener(&rig, &in, local);
    REQUIRE(listener != NULL);
    QUIC_ADDR bound = socket_local(listener);
    CHECK(addr_port(&bound) != 0);
    for (unsigned i = 0; i < 2; i++) {
        QUIC_ADDR to = addr(ips[i], addr_port(&bound));
        int fd = peer_tcp(&to);
        CHECK(fd >= 0);
        CHECK(inbox_wait(&in, INBOX_ACCEPTED, i + 1));
        QUIC_ADDR from = peer_address(fd), remote = socket_remote(in.accepted[i]),
                  mine = socket_local(in.accepted[i]);
        CHECK_ADDR(&remote, &from); /* IPv4 as IPv4, also through a dual-stack listener */
        CHECK_ADDR(&mine, &to);
        CxPlatSocketDelete(in.accepted[i]);
        close(fd);
    }
    rig_delete(listener, &in);
    rig_close(&rig);
    inbox_free(&accepted_in);
    inbox_free(&in);
}

TEST(a_listener_without_an_address_serves_both_families)
{
    QUIC_ADDR any = addr_any(0), unspec;
    memset(&unspec, 0, sizeof(unspec));
    try_listener(NULL);
    try_listener(&any);
    try_listener(&unspec);
}

TEST(every_partition_accepts)
{
    enum { COUNT = 48 };
    struct rig rig;
    struct inbox in, accepted_in;
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    int fd[COUNT];
    REQUIRE(rig_open(&rig, 4));
    inbox_init(&in, &rig);
    inbox_init(&accepted_in, &rig);
    in.accepting = &accepted_in;
    CXPLAT_SOCKET *listener = rig_listener(&rig, &in, &loopback);
    QUIC_ADDR to = socket_local(listener);
    for (int i = 0; i < COUNT; i++) {
        fd[i] = peer_tcp(&to);
        CHECK(fd[i] >= 0 && peer_write(fd[i], "x", 1));
    }
    CHECK(inbox_wait(&in, INBOX_ACCEPTED, COUNT));
    CHECK(inbox_wait(&accepted_in, INBOX_BYTES, COUNT));
    for (int i = 0; i < COUNT; i++) { /* in some order: the partitions do not wait for each other */
        CxPlatSocketDelete(in.accepted[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK(peer_read_end(fd[i]));
        close(fd[i]);
    }
    rig_delete(listener, &in);
    rig_close(&rig);
    inbox_free(&accepted_in);
    inbox_free(&in);
}

TEST(a_taken_port_is_in_use)
{
    struct rig rig;
    CXPLAT_SOCKET *listener = NULL;
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    int fd = peer_tcp_listener(&loopback);
    QUIC_ADDR taken = peer_address(fd);
    REQUIRE(rig_open(&rig, 2));
    CHECK_REFUSED(
        CxPlatSocketCreateTcpListener(rig.datapath, &taken, NULL, &listener),
        QUIC_STATUS_ADDRESS_IN_USE);
    CHECK(listener == NULL);
    close(fd);
    rig_close(&rig);
}

/* ---- accepting ---- */

TEST(a_rejected_connection_is_ended)
{
    struct duo d;
    struct inbox late;
    REQUIRE(duo_open_tcp(&d, 2, "127.0.0.1"));
    inbox_init(&late, &d.rig);
    d.server_in.rejection = QUIC_STATUS_CONNECTION_REFUSED;
    CXPLAT_SOCKET *socket = rig_tcp(&d.rig, &late, &d.address);
    CHECK(inbox_wait(&late, INBOX_CONNECTED, 1));
    CHECK(inbox_wait_ms(&late, INBOX_DISCONNECTED, 1, DISCONNECT_MS));
    CHECK_EQ(inbox_count(&late, INBOX_CONNECTED), 1);
    rig_delete(socket, &late);
    inbox_free(&late);
    duo_close(&d);
}

/* Inside Accept, a helper of core already sends on the new socket, from another thread. */
struct accepting {
    struct inbox accepted_in;
    struct gauge answered; /* the peer has read what the helper sent */
};

static void *send_hello(void *socket)
{
    CXPLAT_ROUTE route = route_of(socket);
    send_bytes(socket, &route, "hello", 5);
    return NULL;
}

static void use_while_accepting(struct inbox *in, CXPLAT_SOCKET *socket, enum inbox_event event)
{
    struct accepting *a = in->user;
    pthread_t thread;
    (void)event;
    pthread_create(&thread, NULL, send_hello, socket);
    pthread_join(thread, NULL);
    /* The peer had sent before it read: if the new socket were served, it would have delivered. */
    CHECK(gauge_wait(&a->answered, 1));
    CHECK_EQ(inbox_count(&a->accepted_in, INBOX_CHAINS), 0);
    CHECK_EQ(inbox_count(&a->accepted_in, INBOX_DISCONNECTED), 0);
}

TEST(nothing_comes_up_before_accept_has_returned)
{
    struct rig rig;
    struct inbox in;
    struct accepting a;
    char hello[5];
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    REQUIRE(rig_open(&rig, 3));
    inbox_init(&in, &rig);
    inbox_init(&a.accepted_in, &rig);
    gauge_init(&a.answered);
    in.accepting = &a.accepted_in;
    in.user = &a;
    in.on_other = use_while_accepting;
    CXPLAT_SOCKET *listener = rig_listener(&rig, &in, &loopback);
    QUIC_ADDR to = socket_local(listener);
    int fd = peer_tcp(&to);
    CHECK(fd >= 0 && peer_write(fd, "early bird", 10));
    CHECK(peer_read(fd, hello, sizeof(hello)) && memcmp(hello, "hello", 5) == 0);
    gauge_add(&a.answered, 1);
    CHECK(inbox_wait(&a.accepted_in, INBOX_BYTES, 10));
    rig_delete(in.accepted[0], &a.accepted_in);
    close(fd);
    rig_delete(listener, &in);
    rig_close(&rig);
    gauge_destroy(&a.answered);
    inbox_free(&a.accepted_in);
    inbox_free(&in);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(connections_are_made),
    CASE(a_connecting_socket_has_a_port),
    CASE(a_local_address_is_honoured),
    CASE(a_refused_connection_is_told_once),
    CASE(sends_on_a_refused_connection_fail),
    CASE(sends_while_connecting_wait),
    CASE(a_port_is_free_when_its_connection_is_deleted),
    CASE(delete_while_connecting),
    CASE(a_late_event_connects_nobody),
    CASE(a_listener_without_an_address_serves_both_families),
    CASE(every_partition_accepts),
    CASE(a_taken_port_is_in_use),
    CASE(a_rejected_connection_is_ended),
    CASE(nothing_comes_up_before_accept_has_returned))
