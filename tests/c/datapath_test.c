/* SPDX-License-Identifier: MIT */
/* datapath_test.c - making and ending datapaths, and what they say about themselves. */
#include <string.h>

#include "host/memory.h"
#include "host/pattern.h"
#include "host/process.h"
#include "host/rig.h"

/* ---- arguments ---- */

static CXPLAT_DATAPATH *const poison = (CXPLAT_DATAPATH *)(uintptr_t)0x5a5a5a5a;

/* TRUE when *out says that there is no datapath: NULL, or what it was before. */
static bool untouched(const CXPLAT_DATAPATH *out)
{
    return out == NULL || out == poison;
}

TEST(no_out_pointer_is_found_first)
{
    CHECK_REFUSED(
        CxPlatDataPathInitialize(0, NULL, NULL, NULL, NULL, NULL), QUIC_STATUS_INVALID_PARAMETER);
    CXPLAT_UDP_DATAPATH_CALLBACKS half = {NULL, NULL};
    CHECK_REFUSED(
        CxPlatDataPathInitialize(0, &half, NULL, NULL, NULL, NULL), QUIC_STATUS_INVALID_PARAMETER);
}

static void check_udp_callbacks(CXPLAT_WORKER_POOL *pool)
{
    for (int missing = 0; missing < 2; missing++) {
        CXPLAT_UDP_DATAPATH_CALLBACKS udp = inbox_udp;
        *(missing == 0 ? (void **)&udp.Receive : (void **)&udp.Unreachable) = NULL;
        CXPLAT_DATAPATH *datapath = poison;
        CHECK_REFUSED(
            CxPlatDataPathInitialize(0, &udp, NULL, pool, NULL, &datapath),
            QUIC_STATUS_INVALID_PARAMETER);
        CHECK(untouched(datapath));
    }
}

static void check_tcp_callbacks(CXPLAT_WORKER_POOL *pool)
{
    for (int missing = 0; missing < 4; missing++) {
        CXPLAT_TCP_DATAPATH_CALLBACKS tcp = inbox_tcp;
        void **members[] = {
            (void **)&tcp.Accept, (void **)&tcp.Connect, (void **)&tcp.Receive,
            (void **)&tcp.SendComplete};
        *members[missing] = NULL;
        CXPLAT_DATAPATH *datapath = poison;
        CHECK_REFUSED(
            CxPlatDataPathInitialize(0, &inbox_udp, &tcp, pool, NULL, &datapath),
            QUIC_STATUS_INVALID_PARAMETER);
        CHECK(untouched(datapath));
    }
}

TEST(half_a_set_of_callbacks_is_refused)
{
    CXPLAT_WORKER_POOL *pool = host_pool_create(1, NULL);
    check_udp_callbacks(pool);
    check_tcp_callbacks(pool);
    CHECK_EQ(host_pool_refs(pool), 0);
    host_pool_delete(pool);
}

TEST(no_pool_is_refused)
{
    CXPLAT_DATAPATH *datapath = poison;
    CHECK_REFUSED(
        CxPlatDataPathInitialize(0, &inbox_udp, NULL, NULL, NULL, &datapath),
        QUIC_STATUS_INVALID_PARAMETER);
    CHECK(untouched(datapath));
}

static void reason_of_init(
    const CXPLAT_UDP_DATAPATH_CALLBACKS *udp, CXPLAT_WORKER_POOL *pool, char reason[256])
{
    CXPLAT_DATAPATH *datapath = NULL;
    CHECK_EQ(
        CxPlatDataPathInitialize(0, udp, NULL, pool, NULL, &datapath),
        QUIC_STATUS_INVALID_PARAMETER);
    msquicxdp_last_reason(reason, 256);
}

/* All faults have one status; that callbacks are looked at before the pool shows in the reason. */
TEST(callbacks_are_checked_before_the_pool)
{
    char both[256], callbacks[256], nopool[256];
    CXPLAT_UDP_DATAPATH_CALLBACKS half = {inbox_udp.Receive, NULL};
    CXPLAT_WORKER_POOL *pool = host_pool_create(1, NULL);
    reason_of_init(&half, NULL, both);
    reason_of_init(&half, pool, callbacks);
    reason_of_init(&inbox_udp, NULL, nopool);
    CHECK(strcmp(both, callbacks) == 0);
    CHECK(strcmp(both, nopool) != 0);
    host_pool_delete(pool);
}

TEST(no_callbacks_at_all_is_for_resolving_names)
{
    CXPLAT_WORKER_POOL *pool = host_pool_create(1, NULL);
    CXPLAT_DATAPATH *datapath = NULL;
    QUIC_ADDR found = addr("0.0.0.0", 7), want = addr("127.0.0.1", 0);
    CXPLAT_DATAPATH_INIT_CONFIG config = {0};
    if (CHECK_OK(CxPlatDataPathInitialize(0, NULL, NULL, pool, &config, &datapath))) {
        CHECK_OK(CxPlatDataPathResolveAddress(datapath, "127.0.0.1", &found));
        CHECK_ADDR(&found, &want);
        CxPlatDataPathUninitialize(datapath);
    }
    host_pool_delete(pool);
}

TEST(no_config_counts_as_zero)
{
    CXPLAT_WORKER_POOL *pool = host_pool_create(2, NULL);
    CXPLAT_DATAPATH *datapath = NULL;
    if (CHECK_OK(CxPlatDataPathInitialize(0, &inbox_udp, &inbox_tcp, pool, NULL, &datapath))) {
        CHECK(datapath != NULL);
        CxPlatDataPathUninitialize(datapath);
    }
    host_pool_delete(pool);
}

TEST(callbacks_are_copied)
{
    struct rig rig = {.pool = host_pool_create(1, NULL)};
    CXPLAT_UDP_DATAPATH_CALLBACKS udp = inbox_udp;
    CXPLAT_TCP_DATAPATH_CALLBACKS tcp = inbox_tcp;
    CXPLAT_DATAPATH_INIT_CONFIG config = {0};
    CHECK_OK(
        CxPlatDataPathInitialize(RIG_CONTEXT_LENGTH, &udp, &tcp, rig.pool, &config, &rig.datapath));
    memset(&udp, 0, sizeof(udp));
    memset(&tcp, 0, sizeof(tcp));
    memset(&config, 0xff, sizeof(config));
    struct inbox in;
    inbox_init(&in, &rig);
    QUIC_ADDR local = addr("127.0.0.1", 0);
    CXPLAT_SOCKET *socket = rig_udp(&rig, &in, &local, NULL);
    QUIC_ADDR self = socket_local(socket);
    CXPLAT_ROUTE route = route_to(socket, &self);
    send_pattern(socket, &route, 100, 1);
    CHECK(inbox_wait(&in, INBOX_DATAGRAMS, 1));
    rig_delete(socket, &in);
    rig_close(&rig);
    inbox_free(&in);
}

TEST(a_pool_that_is_being_deleted_is_refused)
{
    CXPLAT_WORKER_POOL *pool = host_pool_create(1, NULL);
    CXPLAT_DATAPATH *datapath = poison;
    host_pool_close(pool);
    CHECK_REFUSED(
        CxPlatDataPathInitialize(0, &inbox_udp, NULL, pool, NULL, &datapath),
        QUIC_STATUS_INVALID_STATE);
    CHECK(untouched(datapath));
    host_pool_delete(pool);
}

TEST(map_mode_without_af_xdp_is_refused)
{
    CXPLAT_WORKER_POOL *pool = host_pool_create(1, NULL);
    CXPLAT_XDP_MAP_CONFIG map = {.InterfaceIndex = 0xdead, .MapHandle = -1};
    CXPLAT_DATAPATH_INIT_CONFIG config = {.XdpMapConfigs = &map, .XdpMapConfigCount = 1};
    CXPLAT_DATAPATH *datapath = poison;
    CHECK_REFUSED(
        CxPlatDataPathInitialize(0, NULL, NULL, pool, &config, &datapath),
        QUIC_STATUS_INVALID_PARAMETER);
    CHECK(untouched(datapath));
    CHECK_REFUSED(
        CxPlatDataPathInitialize(0, &inbox_udp, NULL, pool, &config, &datapath),
        QUIC_STATUS_NOT_SUPPORTED);
    CHECK(untouched(datapath));
    CHECK_EQ(host_pool_refs(pool), 0);
    host_pool_delete(pool);
}

/* ---- what a datapath says ---- */

TEST(features_of_kernel_sockets)
{
    struct rig rig;
    REQUIRE(rig_open(&rig, 2));
    unsigned must = CXPLAT_DATAPATH_FEATURE_TCP | CXPLAT_DATAPATH_FEATURE_LOCAL_PORT_SHARING |
                    CXPLAT_DATAPATH_FEATURE_PORT_RESERVATIONS | CXPLAT_DATAPATH_FEATURE_TTL |
                    CXPLAT_DATAPATH_FEATURE_SEND_DSCP | CXPLAT_DATAPATH_FEATURE_RECV_DSCP |
                    CXPLAT_DATAPATH_FEATURE_SEND_SEGMENTATION |
                    CXPLAT_DATAPATH_FEATURE_RECV_COALESCING;
    unsigned got = CxPlatDataPathGetSupportedFeatures(rig.datapath, CXPLAT_SOCKET_FLAG_NONE);
    CHECK_EQ(got, must);
    got = CxPlatDataPathGetSupportedFeatures(rig.datapath, CXPLAT_SOCKET_FLAG_XDP);
    CHECK_EQ(got & ~(unsigned)CXPLAT_DATAPATH_FEATURE_RAW, must);
    got = CxPlatDataPathGetSupportedFeatures(rig.datapath, (CXPLAT_SOCKET_FLAGS)0x7fffffc0);
    CHECK_EQ(got, must);
    rig_close(&rig);
}

TEST(padding_is_preferred_where_the_kernel_segments)
{
    struct rig rig;
    struct inbox in;
    REQUIRE(rig_open(&rig, 1));
    inbox_init(&in, &rig);
    QUIC_ADDR local = addr("127.0.0.1", 0);
    CXPLAT_SOCKET *socket = rig_udp(&rig, &in, &local, NULL);
    CXPLAT_ROUTE route = route_to(socket, &local);
    CXPLAT_SEND_CONFIG config = {.Route = &route, .MaxPacketSize = 1000};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(socket, &config);
    REQUIRE(send != NULL);
    unsigned features = CxPlatDataPathGetSupportedFeatures(rig.datapath, CXPLAT_SOCKET_FLAG_NONE);
    CHECK_EQ(
        CxPlatDataPathIsPaddingPreferred(rig.datapath, send),
        (features & CXPLAT_DATAPATH_FEATURE_SEND_SEGMENTATION) != 0);
    CxPlatSendDataFree(send);
    rig_delete(socket, &in);
    rig_close(&rig);
    inbox_free(&in);
}

TEST(no_rules_without_raw_sockets)
{
    struct rig rig;
    REQUIRE(rig_open(&rig, 1));
    CHECK_EQ(CxPlatDataPathGetXdpRuleCount(rig.datapath), 0);
    rig_close(&rig);
}

/* A kernel socket neither polls nor stops for an idle timeout: a worker without events rests. */
TEST(polling_idle_timeout_leaves_kernel_sockets_alone)
{
    static const uint32_t timeouts[] = {0, 1, 1000, UINT32_MAX};
    struct rig rig;
    struct inbox in;
    REQUIRE(rig_open(&rig, 1));
    inbox_init(&in, &rig);
    QUIC_ADDR local = addr("127.0.0.1", 0);
    CXPLAT_SOCKET *socket = rig_udp(&rig, &in, &local, NULL);
    QUIC_ADDR self = socket_local(socket);
    CXPLAT_ROUTE route = route_to(socket, &self);
    for (unsigned i = 0; i < 4; i++) {
        CxPlatDataPathUpdatePollingIdleTimeout(rig.datapath, timeouts[i]);
        send_pattern(socket, &route, 50, i);
        CHECK(inbox_wait(&in, INBOX_DATAGRAMS, i + 1));
    }
    uint64_t before = host_pool_rounds(rig.pool, 0);
    send_pattern(socket, &route, 50, 9);
    CHECK(inbox_wait(&in, INBOX_DATAGRAMS, 5));
    CHECK_LE(host_pool_rounds(rig.pool, 0) - before, 10);
    rig_delete(socket, &in);
    rig_close(&rig);
    inbox_free(&in);
}

/* ---- the room that core gets with each datagram ---- */

enum { ROOM_DATAGRAMS = 40 };

static void mark_room(CXPLAT_RECV_DATA *chain, size_t room)
{
    uint32_t n = 0;
    for (CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next, n++) {
        pattern_fill(data + 1, room, 1000 + n);
        memset(data->Route, (int)n, sizeof(*data->Route));
    }
}

/* The number of a datagram, from its payload; ROOM_DATAGRAMS if it is none of ours. */
static uint32_t number_of(const CXPLAT_RECV_DATA *data)
{
    uint32_t seed = 0;
    while (seed < ROOM_DATAGRAMS && !pattern_holds(data->Buffer, data->BufferLength, seed)) {
        seed++;
    }
    return seed;
}

static void check_room(CXPLAT_RECV_DATA *chain, size_t room)
{
    bool seen[ROOM_DATAGRAMS + 1] = {false};
    uint32_t n = 0;
    for (CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next, n++) {
        uint32_t number = number_of(data);
        CHECK(number < ROOM_DATAGRAMS);
        CHECK(!seen[number]);
        seen[number] = true;
        CHECK(pattern_holds(data + 1, room, 1000 + n));
        CHECK_EQ(*(uint8_t *)data->Route, n);
    }
    CHECK_EQ(n, ROOM_DATAGRAMS);
}

static void try_context_length(uint32_t length)
{
    struct rig rig = {.pool = host_pool_create(1, NULL)};
    struct inbox in;
    inbox_init(&in, &rig);
    in.keep = true;
    CHECK_OK(CxPlatDataPathInitialize(length, &inbox_udp, NULL, rig.pool, NULL, &rig.datapath));
    QUIC_ADDR local = addr("127.0.0.1", 0);
    CXPLAT_SOCKET *socket = rig_udp(&rig, &in, &local, NULL);
    QUIC_ADDR self = socket_local(socket);
    CXPLAT_ROUTE route = route_to(socket, &self);
    send_batch(socket, &route, ROOM_DATAGRAMS, 700, 0);
    if (CHECK(inbox_wait(&in, INBOX_DATAGRAMS, ROOM_DATAGRAMS))) {
        CXPLAT_RECV_DATA *kept = inbox_take_kept(&in);
        mark_room(kept, length);
        check_room(kept, length);
        CxPlatRecvDataReturn(kept);
    }
    rig_delete(socket, &in);
    rig_close(&rig);
    inbox_free(&in);
}

TEST(client_context_has_room_of_its_own)
{
    static const uint32_t lengths[] = {0, 1, 32, 33, 200, 4096};
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        try_context_length(lengths[i]);
    }
}

/* ---- many, and again and again ---- */

enum { MANY = 16 };

TEST(many_datapaths_on_one_pool)
{
    struct rig rigs[MANY];
    struct inbox in[MANY];
    CXPLAT_SOCKET *socket[MANY];
    QUIC_ADDR local = addr("127.0.0.1", 0);
    CXPLAT_WORKER_POOL *pool = host_pool_create(2, NULL);
    for (int i = 0; i < MANY; i++) {
        rigs[i] = (struct rig){.pool = pool};
        inbox_init(&in[i], &rigs[i]);
        CHECK_OK(CxPlatDataPathInitialize(
            RIG_CONTEXT_LENGTH, &inbox_udp, &inbox_tcp, pool, NULL, &rigs[i].datapath));
        socket[i] = rig_udp(&rigs[i], &in[i], &local, NULL);
        for (int k = 0; k < i; k++) {
            QUIC_ADDR mine = socket_local(socket[i]), other = socket_local(socket[k]);
            CHECK(!addr_equal(&mine, &other));
        }
    }
    for (int i = 0; i < MANY; i++) {
        QUIC_ADDR next = socket_local(socket[(i + 1) % MANY]);
        CXPLAT_ROUTE route = route_to(socket[i], &next);
        send_pattern(socket[i], &route, 300, (uint32_t)i);
    }
    for (int k = 0; k < MANY; k++) {
        int i = k * 5 % MANY; /* some order */
        CHECK(inbox_wait(&in[i], INBOX_DATAGRAMS, 1));
        rig_delete(socket[i], &in[i]);
        CxPlatDataPathUninitialize(rigs[i].datapath);
        inbox_free(&in[i]);
    }
    host_pool_delete(pool);
}

/* The only thread that polls is the one that ends everything: it must not be waited for. */
TEST(uninitialize_when_nobody_polls)
{
    struct rig rig;
    struct inbox in;
    REQUIRE(rig_open_external(&rig, 1));
    inbox_init(&in, &rig);
    QUIC_ADDR local = addr("127.0.0.1", 0);
    CXPLAT_SOCKET *socket = rig_udp(&rig, &in, &local, NULL);
    QUIC_ADDR self = socket_local(socket);
    CXPLAT_ROUTE route = route_to(socket, &self);
    send_pattern(socket, &route, 100, 1); /* lies in the socket unread */
    CHECK(host_pool_refs_of(rig.pool, CXPLAT_WORKER_POOL_REF_EPOLL) == 1);
    rig_delete(socket, &in);
    CxPlatDataPathUninitialize(rig.datapath);
    CHECK_EQ(host_pool_refs(rig.pool), 0); /* on return, not some time later */
    CHECK_EQ(inbox_count(&in, INBOX_CHAINS), 0);
    rig.datapath = NULL;
    rig_close(&rig);
    inbox_free(&in);
}

TEST(a_thousand_times_init_and_uninit)
{
    CXPLAT_WORKER_POOL *pool = host_pool_create(2, NULL);
    size_t live = host_memory_live();
    int fds = host_fd_count(), threads = host_thread_count();
    for (int i = 0; i < 1000; i++) {
        CXPLAT_DATAPATH *datapath = NULL;
        if (!CHECK_OK(CxPlatDataPathInitialize(
                RIG_CONTEXT_LENGTH, &inbox_udp, &inbox_tcp, pool, NULL, &datapath))) {
            break;
        }
        CxPlatDataPathUninitialize(datapath);
    }
    CHECK(host_pool_wait_round(pool, 0) && host_pool_wait_round(pool, 1));
    CHECK_EQ(host_pool_refs(pool), 0);
    CHECK_EQ(host_memory_live(), live);
    CHECK_EQ(host_fd_count(), fds);
    CHECK_LE(host_thread_count(), threads + 4);
    host_pool_delete(pool);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(no_out_pointer_is_found_first),
    CASE(half_a_set_of_callbacks_is_refused),
    CASE(no_pool_is_refused),
    CASE(callbacks_are_checked_before_the_pool),
    CASE(no_callbacks_at_all_is_for_resolving_names),
    CASE(no_config_counts_as_zero),
    CASE(callbacks_are_copied),
    CASE(a_pool_that_is_being_deleted_is_refused),
    CASE(map_mode_without_af_xdp_is_refused),
    CASE(features_of_kernel_sockets),
    CASE(padding_is_preferred_where_the_kernel_segments),
    CASE(no_rules_without_raw_sockets),
    CASE(polling_idle_timeout_leaves_kernel_sockets_alone),
    CASE(client_context_has_room_of_its_own),
    CASE(many_datapaths_on_one_pool),
    CASE(uninitialize_when_nobody_polls),
    CASE(a_thousand_times_init_and_uninit))
