/* SPDX-License-Identifier: MIT */
/* descriptors_test.c - a process without a file descriptor left: calls fail, nothing else does. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/pattern.h"
#include "host/peer.h"

static struct rlimit usual;

/* From here on only so many new descriptors can be had, besides those that are closed. */
static void spare_descriptors(unsigned count)
{
    getrlimit(RLIMIT_NOFILE, &usual);
    int lowest = dup(0); /* the one that would be given next: all below are in use */
    close(lowest);
    struct rlimit few = {.rlim_cur = (rlim_t)lowest + count, .rlim_max = usual.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
}

static void forbid_descriptors(void)
{
    spare_descriptors(0);
}

static void allow_descriptors(void)
{
    CHECK(setrlimit(RLIMIT_NOFILE, &usual) == 0);
}

/*
 * The Go runtime opens descriptors of its own when it first needs a timer, at its first collection
 * of garbage for one, and ends the process if it cannot: so it must have them as soon as it runs.
 * Calls that fail make garbage.
 */
TEST(the_runtime_needs_no_more_descriptors_once_it_runs)
{
    struct duo d;
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    CXPLAT_UDP_CONFIG config = {.RemoteAddress = &d.address};
    CXPLAT_SOCKET *socket = NULL;
    forbid_descriptors();
    for (unsigned i = 0; i < 30000; i++) {
        if (!CHECK(QUIC_FAILED(CxPlatSocketCreateUdp(d.rig.datapath, &config, &socket)))) {
            break;
        }
    }
    CHECK(duo_exchange(&d, 1000, 1) != NULL);
    allow_descriptors();
    duo_close(&d);
}

TEST(sockets_are_refused_with_the_errno)
{
    struct duo d;
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    CXPLAT_UDP_CONFIG config = {.RemoteAddress = &d.address};
    CXPLAT_SOCKET *socket = NULL;
    forbid_descriptors();
    CHECK_REFUSED(CxPlatSocketCreateUdp(d.rig.datapath, &config, &socket), (QUIC_STATUS)EMFILE);
    CHECK(socket == NULL);
    config.RemoteAddress = NULL;
    CHECK_REFUSED(CxPlatSocketCreateUdp(d.rig.datapath, &config, &socket), (QUIC_STATUS)EMFILE);
    CHECK_REFUSED(
        CxPlatSocketCreateTcp(d.rig.datapath, NULL, &d.address, NULL, &socket),
        (QUIC_STATUS)EMFILE);
    CHECK_REFUSED(
        CxPlatSocketCreateTcpListener(d.rig.datapath, NULL, NULL, &socket), (QUIC_STATUS)EMFILE);
    CHECK(socket == NULL);
    CHECK(duo_exchange(&d, 1000, 1) != NULL);
    allow_descriptors();
    duo_close(&d);
}

/* Half of what a server needs can be had: what was opened is closed again. */
TEST(half_a_server_is_no_server)
{
    struct rig rig;
    REQUIRE(rig_open(&rig, 8));
    for (unsigned count = 1; count < 8; count++) {
        spare_descriptors(count);
        CXPLAT_UDP_CONFIG config = {0};
        CXPLAT_SOCKET *socket = NULL;
        CHECK_REFUSED(CxPlatSocketCreateUdp(rig.datapath, &config, &socket), (QUIC_STATUS)EMFILE);
        CHECK(socket == NULL);
        allow_descriptors();
    }
    rig_close(&rig);
}

TEST(questions_are_answered_with_an_error)
{
    struct rig rig;
    REQUIRE(rig_open(&rig, 1));
    CXPLAT_ADAPTER_ADDRESS *list = NULL;
    QUIC_ADDR *gateways = NULL, found = addr("0.0.0.0", 0), remote = addr("127.0.0.1", 1);
    uint32_t count = 7;
    forbid_descriptors();
    CHECK(QUIC_FAILED(CxPlatDataPathGetLocalAddresses(rig.datapath, &list, &count)));
    CHECK(list == NULL && count == 0);
    CHECK(QUIC_FAILED(CxPlatDataPathGetGatewayAddresses(rig.datapath, &gateways, &count)));
    CHECK(gateways == NULL && count == 0);
    CHECK(QUIC_FAILED(CxPlatDataPathGetLocalAddressForRemote(&remote, &found)));
    CHECK_OK(CxPlatDataPathResolveAddress(rig.datapath, "127.0.0.1", &found)); /* needs none */
    allow_descriptors();
    rig_close(&rig);
}

/* A connection that cannot be accepted is reset, and does not wake the worker for ever. */
TEST(connections_are_reset)
{
    struct rig rig;
    struct inbox in, accepted_in, client_in;
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    REQUIRE(rig_open_external(&rig, 1));
    inbox_init(&in, &rig);
    inbox_init(&accepted_in, &rig);
    inbox_init(&client_in, &rig);
    in.accepting = &accepted_in;
    CXPLAT_SOCKET *listener = rig_listener(&rig, &in, &loopback);
    QUIC_ADDR to = socket_local(listener);
    CXPLAT_SOCKET *client = rig_tcp(&rig, &client_in, &to);
    forbid_descriptors();
    CHECK(inbox_wait(&client_in, INBOX_DISCONNECTED, 1));
    CHECK_EQ(inbox_count(&in, INBOX_ACCEPTED), 0);
    CHECK_EQ(host_pool_poll(rig.pool, 0, 50), 0); /* quiet */
    allow_descriptors();
    rig_delete(client, &client_in);
    int fd = peer_tcp(&to);
    CHECK(fd >= 0 && inbox_wait(&in, INBOX_ACCEPTED, 1)); /* and later ones are welcome */
    rig_delete(in.accepted[0], &accepted_in);
    close(fd);
    rig_delete(listener, &in);
    rig_close(&rig);
    inbox_free(&client_in);
    inbox_free(&accepted_in);
    inbox_free(&in);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_start_runtime;
}

CHECK_MAIN(
    CASE(the_runtime_needs_no_more_descriptors_once_it_runs),
    CASE(sockets_are_refused_with_the_errno),
    CASE(half_a_server_is_no_server),
    CASE(questions_are_answered_with_an_error),
    CASE(connections_are_reset))
