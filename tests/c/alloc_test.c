/* SPDX-License-Identifier: MIT */
/*
 * alloc_test.c - memory that cannot be had, at every point where it is asked for.
 *
 * Each operation is tried with its first allocation failing, then with its second, and so on until
 * it needs no more. It must say OUT_OF_MEMORY or NULL, leave nothing behind, and work later.
 */
#include <string.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/link.h"
#include "host/memory.h"
#include "host/pattern.h"
#include "host/peer.h"
#include "host/wire.h"

enum { MOST = 500 }; /* allocations that any operation may need */

/* TRUE when the operation really met the failure, and so has to have failed. */
static bool was_hit(unsigned n)
{
    bool hit = host_fail_off(HOST_ALL_THREADS) != 0;
    if (n == 1) {
        CHECK(hit); /* an operation that allocates nothing tests nothing */
    }
    return hit;
}

/* ---- making things ---- */

static bool init_with_failure(unsigned n)
{
    CXPLAT_WORKER_POOL *pool = host_pool_create(3, NULL);
    CXPLAT_DATAPATH *datapath = NULL;
    size_t live = host_memory_live();
    host_fail_nth(HOST_ALL_THREADS, n);
    QUIC_STATUS status =
        CxPlatDataPathInitialize(RIG_CONTEXT_LENGTH, &inbox_udp, &inbox_tcp, pool, NULL, &datapath);
    bool hit = was_hit(n);
    if (hit) {
        CHECK_REFUSED(status, QUIC_STATUS_OUT_OF_MEMORY);
        CHECK(datapath == NULL);
        CHECK_EQ(host_memory_live(), live);
        CHECK_EQ(host_pool_refs(pool), 0);
    } else if (CHECK_OK(status)) {
        CxPlatDataPathUninitialize(datapath);
    }
    host_pool_delete(pool);
    return hit;
}

TEST(datapaths)
{
    unsigned n = 1;
    while (n < MOST && init_with_failure(n)) {
        n++;
    }
    CHECK(n < MOST);
}

typedef QUIC_STATUS make_fn(struct rig *rig, struct inbox *in, CXPLAT_SOCKET **socket);

static QUIC_STATUS make_server(struct rig *rig, struct inbox *in, CXPLAT_SOCKET **socket)
{
    CXPLAT_UDP_CONFIG config = {.CallbackContext = in};
    return CxPlatSocketCreateUdp(rig->datapath, &config, socket);
}

static QUIC_STATUS make_client(struct rig *rig, struct inbox *in, CXPLAT_SOCKET **socket)
{
    QUIC_ADDR remote = addr("::1", 4433);
    CXPLAT_UDP_CONFIG config = {.RemoteAddress = &remote, .CallbackContext = in};
    return CxPlatSocketCreateUdp(rig->datapath, &config, socket);
}

static QUIC_STATUS make_tcp(struct rig *rig, struct inbox *in, CXPLAT_SOCKET **socket)
{
    QUIC_ADDR remote = addr("127.0.0.1", 1);
    return CxPlatSocketCreateTcp(rig->datapath, NULL, &remote, in, socket);
}

static QUIC_STATUS make_listener(struct rig *rig, struct inbox *in, CXPLAT_SOCKET **socket)
{
    return CxPlatSocketCreateTcpListener(rig->datapath, NULL, in, socket);
}

static bool make_with_failure(struct rig *rig, make_fn *make, unsigned n)
{
    struct inbox in;
    CXPLAT_SOCKET *socket = NULL;
    inbox_init(&in, rig);
    size_t live = host_memory_live();
    host_fail_nth(HOST_ALL_THREADS, n);
    QUIC_STATUS status = make(rig, &in, &socket);
    bool hit = was_hit(n);
    if (hit) {
        CHECK_REFUSED(status, QUIC_STATUS_OUT_OF_MEMORY);
        CHECK(socket == NULL);
        CHECK_EQ(host_memory_live(), live);
    } else {
        CHECK_OK(status);
    }
    rig_delete(socket, &in);
    inbox_free(&in);
    return hit;
}

static void try_sockets(make_fn *make)
{
    struct rig rig;
    unsigned n = 1;
    REQUIRE(rig_open_external(&rig, 3)); /* nobody else allocates */
    while (n < MOST && make_with_failure(&rig, make, n)) {
        n++;
    }
    CHECK(n < MOST);
    rig_close(&rig);
}

TEST(sockets)
{
    try_sockets(make_server);
    try_sockets(make_client);
    try_sockets(make_tcp);
    try_sockets(make_listener);
}

/* The first socket that asks for AF_XDP makes what all of a datapath share. A kernel socket beside AF_XDP that
   could not be had is right as well: the flag does not demand it. */
static bool xdp_with_failure(unsigned n)
{
    struct rig rig;
    struct inbox in;
    CXPLAT_SOCKET *socket = NULL;
    QUIC_ADDR local = addr("0.0.0.0", 0);
    CXPLAT_UDP_CONFIG config = {
        .LocalAddress = &local, .Flags = CXPLAT_SOCKET_FLAG_XDP, .CallbackContext = &in};
    if (!CHECK(rig_open_external(&rig, 2))) {
        return false;
    }
    inbox_init(&in, &rig);
    host_fail_nth(HOST_ALL_THREADS, n);
    QUIC_STATUS status = CxPlatSocketCreateUdp(rig.datapath, &config, &socket);
    bool hit = was_hit(n);
    if (QUIC_FAILED(status)) {
        CHECK(hit && socket == NULL);
        CHECK_REFUSED(status, QUIC_STATUS_OUT_OF_MEMORY);
        CHECK_OK(CxPlatSocketCreateUdp(rig.datapath, &config, &socket)); /* later it works */
    }
    rig_delete(socket, &in);
    rig_close(&rig);
    inbox_free(&in);
    return hit;
}

TEST(xdp_sockets)
{
    unsigned n = 1;
    REQUIRE(wire_open());
    while (n < MOST && xdp_with_failure(n)) {
        n++;
    }
    CHECK(n > 1 && n < MOST);
    CHECK(wire_close());
}

/* ---- sending ---- */

TEST(sends)
{
    struct duo d;
    REQUIRE(duo_open_external(&d, "127.0.0.1"));
    CXPLAT_SEND_CONFIG config = {.Route = &d.route};
    host_fail_every(HOST_ALL_THREADS, 1);
    CHECK(CxPlatSendDataAlloc(d.client, &config) == NULL); /* the first: there are none to reuse */
    CHECK(host_fail_off(HOST_ALL_THREADS) != 0);
    CHECK(duo_exchange(&d, 100, 1) != NULL);
    duo_close(&d);
}

/* Once it has its buffers, a send needs no memory. */
TEST(buffers_of_a_send)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    CXPLAT_SEND_CONFIG config = {.Route = &d.route, .MaxPacketSize = 1000};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(d.client, &config);
    REQUIRE(send != NULL);
    host_fail_every(HOST_THIS_THREAD, 1);
    for (uint32_t i = 0; i < 10; i++) {
        QUIC_BUFFER *buffer = CxPlatSendDataAllocBuffer(send, 1000);
        if (CHECK(buffer != NULL)) {
            pattern_fill(buffer->Buffer, 1000, i);
        }
    }
    CxPlatSocketSend(d.client, &d.route, send);
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 10));
    CHECK_EQ(host_fail_off(HOST_THIS_THREAD), 0);
    duo_close(&d);
}

/* ---- by AF_XDP ---- */

/* A server and a client that ask for XDP, and the way of the client's datagrams. */
static bool duo_open_xdp(struct duo *d)
{
    memset(d, 0, sizeof(*d));
    if (!rig_open_external(&d->rig, 1) || !duo_make_raw(d, wire_ip4[0])) {
        return false;
    }
    d->route = duo_resolved(d);
    return check_failures() == 0;
}

/* What cannot be sent for want of memory is not sent, or is refused; what follows arrives. */
static bool xdp_send_with_failure(unsigned n)
{
    struct duo d;
    if (!CHECK(duo_open_xdp(&d))) {
        return false;
    }
    CXPLAT_SEND_CONFIG config = {.Route = &d.route};
    host_fail_nth(HOST_ALL_THREADS, n);
    CXPLAT_ROUTE again = {.RemoteAddress = d.address, .LocalAddress = socket_local(d.client)};
    CHECK_EQ(CxPlatResolveRoute(d.client, &again, 0, NULL, NULL), QUIC_STATUS_SUCCESS);
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(d.client, &config);
    QUIC_BUFFER *buffer = send != NULL ? CxPlatSendDataAllocBuffer(send, 500) : NULL;
    if (buffer != NULL) {
        pattern_fill(buffer->Buffer, 500, 3);
        CxPlatSocketSend(d.client, &d.route, send);
    } else {
        CxPlatSendDataFree(send);
    }
    bool hit = was_hit(n);
    CHECK((buffer == NULL) <= hit);
    uint64_t before = buffer != NULL;
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, before));
    CHECK(send_pattern(d.client, &d.route, 500, 4));
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, before + 1));
    const struct mail *m = inbox_mail(&d.server_in, (unsigned)before);
    CHECK(m != NULL && m->length == 500 && pattern_holds(m->data, 500, 4));
    duo_close(&d);
    return hit;
}

TEST(xdp_sends)
{
    unsigned n = 1;
    REQUIRE(wire_open());
    while (n < MOST && xdp_send_with_failure(n)) {
        n++;
    }
    CHECK(n > 1 && n < MOST);
    CHECK(wire_close());
}

/* ---- receiving ---- */

typedef bool opener(struct duo *d);

static bool duo_open_udp(struct duo *d)
{
    return duo_open_external(d, "127.0.0.1");
}

/* Datagrams for which there is no memory wait, or are lost; those that come later arrive. */
static bool receive_with_failure(opener *open, unsigned n)
{
    struct duo d;
    if (!CHECK(open(&d))) {
        return false;
    }
    for (uint32_t i = 0; i < 20; i++) {
        CHECK(send_pattern(d.client, &d.route, 500, i));
    }
    host_fail_nth(HOST_ALL_THREADS, n);
    host_pool_poll(d.rig.pool, 0, 1000);
    host_pool_poll(d.rig.pool, 0, 0);
    bool hit = was_hit(n);
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 20)); /* a single failure loses nothing */
    for (unsigned i = 0; i < 20; i++) {
        const struct mail *m = inbox_mail(&d.server_in, i);
        CHECK(m != NULL && m->length == 500 && pattern_holds(m->data, 500, i));
    }
    duo_close(&d);
    return hit;
}

static void receive_with_each_failure(opener *open)
{
    unsigned n = 1;
    while (n < MOST && receive_with_failure(open, n)) {
        n++;
    }
    CHECK(n < MOST);
}

TEST(receives)
{
    receive_with_each_failure(duo_open_udp);
}

TEST(xdp_receives)
{
    REQUIRE(wire_open());
    receive_with_each_failure(duo_open_xdp);
    CHECK(wire_close());
}

/* None at all, for a while: nothing is delivered, nothing breaks, and later all is as before. */
static void receive_without_any_memory(struct duo *d)
{
    CHECK(send_pattern(d->client, &d->route, 500, 1));
    host_fail_every(HOST_ALL_THREADS, 1);
    for (int i = 0; i < 50; i++) {
        host_pool_poll(d->rig.pool, 0, i == 0 ? 1000 : 0);
    }
    CHECK(host_fail_off(HOST_ALL_THREADS) != 0);
    CHECK_EQ(inbox_count(&d->server_in, INBOX_CHAINS), 0);
}

TEST(receives_without_any_memory)
{
    struct duo d;
    REQUIRE(duo_open_udp(&d));
    receive_without_any_memory(&d);
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 1));
    duo_close(&d);
}

/* Here what has come may be lost. */
TEST(xdp_receives_without_any_memory)
{
    struct duo d;
    REQUIRE(wire_open() && duo_open_xdp(&d));
    receive_without_any_memory(&d);
    for (uint32_t i = 0; i < 100; i++) {
        CHECK(send_pattern(d.client, &d.route, 500, 2));
    }
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 100));
    duo_close(&d);
    CHECK(wire_close());
}

/* ---- connections ---- */

static bool accept_with_failure(unsigned n)
{
    struct rig rig;
    struct inbox in, accepted_in;
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    if (!rig_open_external(&rig, 1)) {
        return false;
    }
    inbox_init(&in, &rig);
    inbox_init(&accepted_in, &rig);
    in.accepting = &accepted_in;
    CXPLAT_SOCKET *listener = rig_listener(&rig, &in, &loopback);
    QUIC_ADDR to = socket_local(listener);
    int fd = peer_tcp(&to);
    CHECK(fd >= 0 && peer_write(fd, "data", 4));
    host_fail_nth(HOST_ALL_THREADS, n);
    host_pool_poll(rig.pool, 0, 1000);
    host_pool_poll(rig.pool, 0, 0);
    bool hit = was_hit(n);
    CHECK(inbox_wait(&in, INBOX_ACCEPTED, 1)); /* it waited in the kernel */
    CHECK(inbox_wait(&accepted_in, INBOX_BYTES, 4));
    rig_delete(in.accepted[0], &accepted_in);
    close(fd);
    rig_delete(listener, &in);
    rig_close(&rig);
    inbox_free(&accepted_in);
    inbox_free(&in);
    return hit;
}

TEST(accepted_connections)
{
    unsigned n = 1;
    while (n < MOST && accept_with_failure(n)) {
        n++;
    }
    CHECK(n < MOST);
}

/* ---- address lists ---- */

TEST(address_lists)
{
    QUIC_ADDR a = addr("10.81.0.1", 0), gateway = addr("10.81.0.254", 0), *gateways = NULL;
    CXPLAT_ADAPTER_ADDRESS *list = NULL;
    uint32_t count = 9;
    REQUIRE(link_add_veth("veth0", "veth1") && link_add_address("veth0", &a, 24));
    REQUIRE(link_up("veth0") && link_up("veth1") && link_add_default_route("veth0", &gateway));
    host_fail_every(HOST_THIS_THREAD, 1);
    CHECK_REFUSED(CxPlatDataPathGetLocalAddresses(NULL, &list, &count), QUIC_STATUS_OUT_OF_MEMORY);
    CHECK(list == NULL && count == 0);
    count = 9;
    CHECK_REFUSED(
        CxPlatDataPathGetGatewayAddresses(NULL, &gateways, &count), QUIC_STATUS_OUT_OF_MEMORY);
    CHECK(gateways == NULL && count == 0);
    CHECK(host_fail_off(HOST_THIS_THREAD) >= 2);
    CHECK(link_delete("veth0"));
}

/* ---- all of it together ---- */

/* Every k-th allocation fails while everything is done at once: whatever fails, nothing breaks. */
static void live_with_failures(unsigned k)
{
    struct rig rig = {.pool = host_pool_create(2, NULL)};
    struct inbox in;
    CXPLAT_SOCKET *socket = NULL;
    inbox_init(&in, &rig);
    host_fail_every(HOST_ALL_THREADS, k);
    CxPlatDataPathInitialize(
        RIG_CONTEXT_LENGTH, &inbox_udp, &inbox_tcp, rig.pool, NULL, &rig.datapath);
    for (int i = 0; i < 3 && rig.datapath != NULL && socket == NULL; i++) {
        make_server(&rig, &in, &socket);
    }
    if (socket != NULL) {
        QUIC_ADDR local = socket_local(socket), self = addr("127.0.0.1", addr_port(&local));
        for (uint32_t i = 0; i < 200; i++) {
            CXPLAT_ROUTE route = {.RemoteAddress = self};
            CXPLAT_SEND_CONFIG config = {.Route = &route};
            CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(socket, &config);
            QUIC_BUFFER *buffer = send != NULL ? CxPlatSendDataAllocBuffer(send, 100) : NULL;
            if (buffer != NULL) {
                memset(buffer->Buffer, 1, 100);
                CxPlatSocketSend(socket, &route, send);
            }
        }
    }
    rig_delete(socket, &in);
    rig_close(&rig);
    host_fail_off(HOST_ALL_THREADS);
    inbox_free(&in);
}

TEST(everything_with_every_kth_failing)
{
    for (unsigned k = 1; k <= 40; k++) {
        live_with_failures(k);
    }
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(datapaths),
    CASE(sockets),
    CASE(xdp_sockets),
    CASE(sends),
    CASE(buffers_of_a_send),
    CASE(xdp_sends),
    CASE(xdp_receives),
    CASE(xdp_receives_without_any_memory),
    CASE(receives),
    CASE(receives_without_any_memory),
    CASE(accepted_connections),
    CASE(address_lists),
    CASE(everything_with_every_kth_failing))
