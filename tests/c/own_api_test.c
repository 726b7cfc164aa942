/* SPDX-License-Identifier: MIT */
/* own_api_test.c - msquicxdp.h: version, reasons, log and counters. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/process.h"

/* ---- before anything else ---- */

/* The first test, without a warm-up: nothing has been started, and nothing is by this. */
TEST(everything_works_before_the_first_datapath)
{
    int threads = host_thread_count();
    struct msquicxdp_counters c = counters_now();
    CHECK_EQ(msquicxdp_version(), MSQUICXDP_VERSION);
    CHECK_EQ(msquicxdp_last_reason(NULL, 0), 0);
    CHECK_EQ(msquicxdp_set_log(NULL), 0);
    CHECK_EQ(c.size, sizeof(c));
    CHECK_EQ(c.sockets_opened + c.sockets_live + c.rx_datagrams + c.tx_batches, 0);
    CHECK_EQ(host_thread_count(), threads);
}

/* From here on there is a Go runtime, with threads of its own. */
TEST(a_datapath_starts_the_runtime)
{
    int threads = host_thread_count();
    rig_start_runtime();
    CHECK(host_thread_count() > threads);
}

/* ---- reasons ---- */

static void fail_somehow(void)
{
    CHECK_EQ(
        CxPlatDataPathInitialize(0, NULL, NULL, NULL, NULL, NULL), QUIC_STATUS_INVALID_PARAMETER);
}

TEST(a_reason_is_cut_as_snprintf_cuts)
{
    char whole[256], part[256];
    fail_somehow();
    size_t length = msquicxdp_last_reason(whole, sizeof(whole));
    CHECK(length > 10 && length < sizeof(whole));
    CHECK_EQ(strlen(whole), length);
    CHECK_EQ(msquicxdp_last_reason(NULL, 0), length);
    for (size_t room = 1; room <= length + 2; room++) {
        memset(part, '#', sizeof(part));
        size_t want = room - 1 < length ? room - 1 : length;
        CHECK_EQ(msquicxdp_last_reason(part, room), length);
        CHECK_EQ(strlen(part), want);
        CHECK(memcmp(part, whole, want) == 0);
        CHECK_EQ(part[room], '#');
    }
    memset(part, '#', sizeof(part));
    CHECK_EQ(msquicxdp_last_reason(part, 0), length);
    CHECK_EQ(part[0], '#');
}

static void *look_at_reason(void *arg)
{
    size_t *before = arg;
    *before = msquicxdp_last_reason(NULL, 0);
    fail_somehow();
    CHECK(msquicxdp_last_reason(NULL, 0) > 0);
    return NULL;
}

TEST(reasons_belong_to_threads)
{
    pthread_t thread;
    size_t before = 99;
    char mine[256], later[256];
    CXPLAT_SOCKET *socket;
    CHECK(QUIC_FAILED(CxPlatSocketCreateUdp(NULL, NULL, &socket)));
    msquicxdp_last_reason(mine, sizeof(mine));
    pthread_create(&thread, NULL, look_at_reason, &before);
    pthread_join(thread, NULL);
    CHECK_EQ(before, 0); /* nothing had failed there */
    msquicxdp_last_reason(later, sizeof(later));
    CHECK(strcmp(mine, later) == 0);
}

/* A sentence that names the port, and who has it. */
TEST(a_reason_says_what_and_why)
{
    struct duo d;
    char reason[512], port[16], pid[32];
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    CXPLAT_UDP_CONFIG config = {.LocalAddress = &d.address};
    CXPLAT_SOCKET *socket = NULL;
    CHECK_REFUSED(
        CxPlatSocketCreateUdp(d.rig.datapath, &config, &socket), QUIC_STATUS_ADDRESS_IN_USE);
    msquicxdp_last_reason(reason, sizeof(reason));
    snprintf(port, sizeof(port), "%u", addr_port(&d.address));
    snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
    CHECK(strstr(reason, "UDP port") != NULL);
    CHECK(strstr(reason, port) != NULL);
    CHECK(strstr(reason, "is held") != NULL);
    CHECK(strstr(reason, pid) != NULL);
    CHECK(strchr(reason, '\n') == NULL);
    CHECK(duo_exchange(&d, 10, 1) != NULL);
    CHECK(msquicxdp_last_reason(NULL, 0) == strlen(reason)); /* a success does not erase it */
    duo_close(&d);
}

/* ---- the log ---- */

struct log_book {
    _Atomic unsigned lines[4]; /* by level */
    pthread_t thread;          /* of the last one */
    char last[256];
    bool fail_inside;
};

static void write_down(void *context, enum msquicxdp_level level, const char *message)
{
    struct log_book *b = context;
    CHECK(level >= MSQUICXDP_LEVEL_ERROR && level <= MSQUICXDP_LEVEL_INFO);
    CHECK(message != NULL && message[0] != '\0' && strchr(message, '\n') == NULL);
    atomic_fetch_add(&b->lines[level & 3], 1);
    b->thread = pthread_self();
    snprintf(b->last, sizeof(b->last), "%s", message);
    if (b->fail_inside) { /* the functions of this header may be called; the hook does not nest */
        struct msquicxdp_counters c = counters_now();
        CHECK_EQ(c.size, sizeof(c));
        CHECK(msquicxdp_last_reason(NULL, 0) > 0);
        fail_somehow();
        CHECK_EQ(msquicxdp_set_log(NULL), 0);
    }
}

static int set_log(struct log_book *b, enum msquicxdp_level level)
{
    struct msquicxdp_log_options o = {
        .size = sizeof(o), .log = write_down, .context = b, .level = level};
    memset(b, 0, sizeof(*b));
    return msquicxdp_set_log(&o);
}

static unsigned all_lines(struct log_book *b)
{
    return b->lines[1] + b->lines[2] + b->lines[3];
}

TEST(failures_are_logged_on_their_thread)
{
    struct log_book b;
    char reason[256];
    CHECK_EQ(set_log(&b, MSQUICXDP_LEVEL_ERROR), 0);
    fail_somehow();
    CHECK_EQ(b.lines[MSQUICXDP_LEVEL_ERROR], 1);
    CHECK(pthread_equal(b.thread, pthread_self()));
    msquicxdp_last_reason(reason, sizeof(reason));
    CHECK(strcmp(reason, b.last) == 0);
    CHECK_EQ(msquicxdp_set_log(NULL), 0);
    fail_somehow();
    CHECK_EQ(all_lines(&b), 1); /* silence again */
}

TEST(levels_choose_what_is_logged)
{
    struct log_book b;
    struct duo d;
    CHECK_EQ(set_log(&b, MSQUICXDP_LEVEL_WARNING), 0);
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    CHECK_EQ(all_lines(&b), 0); /* all went well: nothing to warn of */
    struct inbox in;
    inbox_init(&in, &d.rig);
    CXPLAT_SOCKET *socket = rig_udp_flags(&d.rig, &in, NULL, &d.address, CXPLAT_SOCKET_FLAG_XDP);
    CHECK(CxPlatSocketRawSocketAvailable(socket) || b.lines[MSQUICXDP_LEVEL_WARNING] == 1);
    rig_delete(socket, &in);
    inbox_free(&in);
    duo_close(&d);
    CHECK_EQ(set_log(&b, MSQUICXDP_LEVEL_INFO), 0);
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    duo_close(&d);
    CHECK(b.lines[MSQUICXDP_LEVEL_INFO] >= 1);
    CHECK_EQ(set_log(&b, MSQUICXDP_LEVEL_NONE), 0);
    fail_somehow();
    CHECK_EQ(all_lines(&b), 0);
    CHECK_EQ(msquicxdp_set_log(NULL), 0);
}

TEST(a_hook_may_call_and_is_not_called_inside_itself)
{
    struct log_book b;
    CHECK_EQ(set_log(&b, MSQUICXDP_LEVEL_ERROR), 0);
    b.fail_inside = true;
    fail_somehow();
    CHECK_EQ(all_lines(&b), 1);
    fail_somehow(); /* it has removed itself */
    CHECK_EQ(all_lines(&b), 1);
}

TEST(log_options_grow)
{
    struct {
        struct msquicxdp_log_options o;
        uint64_t later[2];
    } newer = {.o = {.size = sizeof(newer), .level = MSQUICXDP_LEVEL_ERROR}};
    struct msquicxdp_log_options o = {.size = sizeof(o), .level = MSQUICXDP_LEVEL_INFO};
    CHECK_EQ(msquicxdp_set_log(&newer.o), 0); /* of a later version, what we do not know unused */
    newer.later[1] = 1;
    CHECK_EQ(msquicxdp_set_log(&newer.o), -E2BIG);
    CHECK_EQ(msquicxdp_set_log(&o), 0);
    o.reserved = 1;
    CHECK_EQ(msquicxdp_set_log(&o), -E2BIG);
    o.reserved = 0;
    o.level = (enum msquicxdp_level)4;
    CHECK_EQ(msquicxdp_set_log(&o), -EINVAL);
    o.level = MSQUICXDP_LEVEL_INFO;
    o.size = 0;
    CHECK_EQ(msquicxdp_set_log(&o), -EINVAL);
    o.size = sizeof(size_t) - 1;
    CHECK_EQ(msquicxdp_set_log(&o), -EINVAL);
    struct log_book b;
    CHECK_EQ(set_log(&b, MSQUICXDP_LEVEL_ERROR), 0);
    o.size = sizeof(o);
    o.reserved = 5;
    CHECK_EQ(msquicxdp_set_log(&o), -E2BIG);
    fail_somehow();
    CHECK_EQ(all_lines(&b), 1); /* a refused call has changed nothing */
    CHECK_EQ(msquicxdp_set_log(NULL), 0);
}

/* ---- counters ---- */

TEST(counters_grow)
{
    struct {
        struct msquicxdp_counters c;
        uint64_t later[4];
    } newer;
    struct msquicxdp_counters c;
    CHECK_EQ(msquicxdp_get_counters(NULL), -EINVAL);
    c.size = 0;
    CHECK_EQ(msquicxdp_get_counters(&c), -EINVAL);
    memset(&newer, 0, sizeof(newer));
    newer.c.size = sizeof(newer);
    CHECK_EQ(msquicxdp_get_counters(&newer.c), 0);
    CHECK_EQ(newer.c.size, sizeof(newer));
    CHECK_EQ(newer.later[0] + newer.later[3], 0);
    for (size_t size = sizeof(size_t); size <= sizeof(c); size += 4) {
        memset(&c, 0x77, sizeof(c));
        c.size = size;
        CHECK_EQ(msquicxdp_get_counters(&c), 0);
        for (size_t i = size; i < sizeof(c); i++) {
            CHECK_EQ(
                ((uint8_t *)&c)[i], 0x77); /* what an older caller does not know is not written */
        }
    }
}

TEST(xdp_counters_grow)
{
    struct {
        struct msquicxdp_xdp_counters c;
        uint64_t later[4];
    } newer;
    struct msquicxdp_xdp_counters c;
    CHECK_EQ(msquicxdp_get_xdp_counters(NULL), -EINVAL);
    c.size = 0;
    CHECK_EQ(msquicxdp_get_xdp_counters(&c), -EINVAL);
    memset(&newer, 0x77, sizeof(newer));
    newer.c.size = sizeof(newer);
    CHECK_EQ(msquicxdp_get_xdp_counters(&newer.c), 0);
    CHECK_EQ(newer.c.size, sizeof(newer));
    CHECK_EQ(newer.c.redirected + newer.c.tx_empty + newer.later[0] + newer.later[3], 0);
    for (size_t size = sizeof(size_t); size <= sizeof(c); size += 4) {
        memset(&c, 0x77, sizeof(c));
        c.size = size;
        CHECK_EQ(msquicxdp_get_xdp_counters(&c), 0);
        CHECK_EQ(c.size, size);
        for (size_t i = size; i < sizeof(c); i++) {
            CHECK_EQ(((uint8_t *)&c)[i], 0x77);
        }
    }
}

TEST(sockets_are_counted)
{
    struct duo d;
    struct msquicxdp_counters before = counters_now(), now;
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    now = counters_now();
    CHECK_EQ(now.sockets_opened - before.sockets_opened, 2);
    CHECK_EQ(now.sockets_live - before.sockets_live, 2);
    CXPLAT_SOCKET *socket = NULL;
    QUIC_ADDR far = addr("192.0.2.1", 1);
    CXPLAT_UDP_CONFIG config = {.LocalAddress = &far};
    CHECK(QUIC_FAILED(CxPlatSocketCreateUdp(d.rig.datapath, &config, &socket)));
    CHECK(QUIC_FAILED(CxPlatSocketCreateTcpListener(d.rig.datapath, &far, NULL, &socket)));
    now = counters_now();
    CHECK_EQ(now.sockets_refused - before.sockets_refused, 2);
    CHECK_EQ(now.sockets_opened - before.sockets_opened, 2);
    duo_close(&d);
    now = counters_now();
    CHECK_EQ(now.sockets_live, before.sockets_live);
    CHECK_EQ(now.sockets_opened - before.sockets_opened, 2);
}

TEST(connections_are_counted)
{
    struct duo d;
    struct msquicxdp_counters before = counters_now(), now;
    REQUIRE(duo_open_tcp(&d, 2, "127.0.0.1"));
    send_bytes(d.client, &d.route, "0123456789", 10);
    CHECK(inbox_wait(&d.accepted_in, INBOX_BYTES, 10));
    now = counters_now();
    CHECK_EQ(now.sockets_live - before.sockets_live, 3); /* the accepted one is a socket */
    CHECK_EQ(now.sockets_opened - before.sockets_opened, 3);
    CHECK_EQ(now.tx_bytes - before.tx_bytes, 10);
    CHECK_EQ(now.rx_bytes - before.rx_bytes, 10);
    duo_close(&d);
    CHECK_EQ(counters_now().sockets_live, before.sockets_live);
}

TEST(unreachable_and_xdp_are_counted)
{
    struct duo d;
    struct inbox in;
    struct msquicxdp_counters before = counters_now();
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    inbox_init(&in, &d.rig);
    CXPLAT_SOCKET *socket = rig_udp_flags(&d.rig, &in, NULL, &d.address, CXPLAT_SOCKET_FLAG_XDP);
    bool raw = CxPlatSocketRawSocketAvailable(socket);
    CHECK_EQ(counters_now().xdp_unavailable - before.xdp_unavailable, raw ? 0 : 1);
    rig_delete(d.server, &d.server_in);
    d.server = NULL;
    send_bytes(d.client, &d.route, "x", 1);
    CHECK(inbox_wait(&d.client_in, INBOX_UNREACHABLE, 1));
    CHECK_EQ(counters_now().unreachable - before.unreachable, 1);
    rig_delete(socket, &in);
    inbox_free(&in);
    duo_close(&d);
}

/* Silent by default: a program that sets no hook finds nothing on its descriptors. */
static int make_noise(int fd)
{
    dup2(fd, 1);
    dup2(fd, 2);
    for (int i = 0; i < 10; i++) {
        fail_somehow();
    }
    return check_failures() == 0 ? 0 : 1;
}

TEST(nothing_is_written_without_a_hook)
{
    int ends[2], status = -1;
    char byte;
    REQUIRE(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        _exit(make_noise(ends[1]));
    }
    close(ends[1]);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK_EQ(read(ends[0], &byte, 1), 0);
    close(ends[0]);
}

CHECK_MAIN(
    CASE(everything_works_before_the_first_datapath),
    CASE(a_reason_is_cut_as_snprintf_cuts),
    CASE(reasons_belong_to_threads),
    CASE(log_options_grow),
    CASE(counters_grow),
    CASE(xdp_counters_grow),
    CASE(nothing_is_written_without_a_hook),
    CASE(failures_are_logged_on_their_thread),
    CASE(a_hook_may_call_and_is_not_called_inside_itself),
    CASE(a_datapath_starts_the_runtime),
    CASE(a_reason_says_what_and_why),
    CASE(levels_choose_what_is_logged),
    CASE(sockets_are_counted),
    CASE(connections_are_counted),
    CASE(unreachable_and_xdp_are_counted))
