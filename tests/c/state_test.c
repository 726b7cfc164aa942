/* SPDX-License-Identifier: MIT */
/* state_test.c - a state directory without room, without names to give, that may only be read, or that is deleted. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/process.h"
#include "host/wire.h"

enum { PORT = 4433, ID_AT = 3 }; /* where a datagram's identifier is: a byte, and the offset of 2 */

/* A file system of 16 KiB in the place of the state directory. Mounts are the test's own. */
static bool state_open(void)
{
    (void)!mkdir(host_state_dir(), 0755);
    return CHECK_EQ(mount("tmpfs", host_state_dir(), "tmpfs", 0, "size=16k,mode=0755"), 0) &&
           CHECK(wire_open());
}

static void state_close(void)
{
    CHECK(wire_close());
    CHECK_EQ(umount2(host_state_dir(), MNT_DETACH), 0);
}

static bool state_remount(unsigned long flags, const char *options)
{
    return CHECK_EQ(mount("tmpfs", host_state_dir(), "tmpfs", MS_REMOUNT | flags, options), 0);
}

static const char *ballast(void)
{
    static char path[300];
    snprintf(path, sizeof(path), "%s/ballast", host_state_dir());
    return path;
}

static void fill(void)
{
    static const char page[4096];
    int fd = open(ballast(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, page, sizeof(page)) > 0) {
    }
    CHECK_EQ(errno, ENOSPC);
    close(fd);
}

static int delete_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type;
    return where->level == 0 ? 0 : remove(path);
}

/* All that is in it. */
static void state_delete(void)
{
    CHECK_EQ(nftw(host_state_dir(), delete_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* What a process would be: a datapath, with a server of the port that all share. */
struct member {
    struct rig rig;
    struct inbox in;
    CXPLAT_SOCKET *server;
    uint16_t port;
    uint8_t id;
};

static QUIC_STATUS serve(struct member *m)
{
    QUIC_ADDR local = addr("::", m->port);
    CXPLAT_UDP_CONFIG config = {
        .LocalAddress = &local,
        .Flags = CXPLAT_SOCKET_FLAG_XDP,
        .CallbackContext = &m->in,
        .CibirIdLength = 1,
        .CibirIdOffsetSrc = 2,
        .CibirIdOffsetDst = 2,
        .CibirId = {m->id},
    };
    return CxPlatSocketCreateUdp(m->rig.datapath, &config, &m->server);
}

static bool prepare_member(struct member *m, uint8_t id)
{
    memset(m, 0, sizeof(*m));
    m->port = PORT;
    m->id = id;
    bool ok = rig_open(&m->rig, 1);
    inbox_init(&m->in, &m->rig);
    m->in.raw = true;
    return ok;
}

static bool member_open(struct member *m, uint8_t id)
{
    return prepare_member(m, id) && CHECK_OK(serve(m));
}

static void member_close(struct member *m)
{
    rig_delete(m->server, &m->in);
    rig_close(&m->rig);
    inbox_free(&m->in);
}

/* A datagram to a member gets there, and by which way. */
static void reaches(struct member *m, uint16_t by)
{
    struct inbox in;
    QUIC_ADDR to = addr(wire_ip4[0], m->port);
    uint8_t datagram[100] = {0x40, [ID_AT] = m->id};
    inbox_init(&in, &m->rig);
    CXPLAT_SOCKET *client = rig_udp_flags(&m->rig, &in, NULL, &to, CXPLAT_SOCKET_FLAG_XDP);
    CXPLAT_ROUTE route = {.RemoteAddress = to, .LocalAddress = socket_local(client)};
    CHECK_EQ(CxPlatResolveRoute(client, &route, 0, NULL, NULL), QUIC_STATUS_SUCCESS);
    uint64_t before = inbox_count(&m->in, INBOX_DATAGRAMS);
    m->in.keep = true;
    CHECK(send_bytes(client, &route, datagram, sizeof(datagram)));
    if (CHECK(inbox_wait(&m->in, INBOX_DATAGRAMS, before + 1))) {
        CXPLAT_RECV_DATA *data = inbox_take_kept(&m->in);
        CHECK_EQ(data->DatapathType, by);
        CxPlatRecvDataReturn(data);
    }
    m->in.keep = false;
    rig_delete(client, &in);
    inbox_free(&in);
}

static void refused(uint8_t id, const char *words)
{
    struct member m;
    char reason[512] = "";
    prepare_member(&m, id);
    CHECK_REFUSED(serve(&m), QUIC_STATUS_ADDRESS_IN_USE);
    msquicxdp_last_reason(reason, sizeof(reason));
    if (!CHECK(strstr(reason, words) != NULL)) {
        fprintf(stderr, "    the reason: %s\n", reason);
    }
    member_close(&m);
}

/* Serves by kernel sockets, and lets nobody in. */
static void serves_alone(void)
{
    struct member a;
    if (CHECK(member_open(&a, 1))) {
        CHECK(!CxPlatSocketRawSocketAvailable(a.server));
        reaches(&a, CXPLAT_DATAPATH_TYPE_NORMAL);
        refused(2, "port 4433");
    }
    member_close(&a);
}

/* Two who share the port and the queues. */
static void serve_by_twos(void)
{
    struct member a, b;
    REQUIRE(member_open(&a, 1) && member_open(&b, 2));
    reaches(&a, CXPLAT_DATAPATH_TYPE_RAW);
    reaches(&b, CXPLAT_DATAPATH_TYPE_RAW);
    member_close(&a);
    REQUIRE(member_open(&a, 3));
    reaches(&b, CXPLAT_DATAPATH_TYPE_RAW);
    reaches(&a, CXPLAT_DATAPATH_TYPE_RAW);
    refused(2, "identifier");
    member_close(&b);
    member_close(&a);
}

/* Locks have no bytes, and names need none. */
TEST(without_room)
{
    struct member a;
    REQUIRE(state_open());
    fill();
    serve_by_twos();
    REQUIRE(CHECK(unlink(ballast()) == 0) && member_open(&a, 9));
    fill(); /* in the midst of it */
    serve_by_twos();
    reaches(&a, CXPLAT_DATAPATH_TYPE_RAW);
    member_close(&a);
    state_close();
}

/* The file system has no file to give: newcomers cannot get in, and those who are there do not notice. */
TEST(without_files)
{
    struct member a, b;
    struct statfs f;
    char options[40];
    REQUIRE(state_open());
    REQUIRE(member_open(&a, 1) && member_open(&b, 2));
    CHECK_EQ(statfs(host_state_dir(), &f), 0);
    snprintf(options, sizeof(options), "nr_inodes=%lu", (unsigned long)(f.f_files - f.f_ffree));
    REQUIRE(state_remount(0, options));
    refused(3, "no space left on device");
    reaches(&a, CXPLAT_DATAPATH_TYPE_RAW);
    reaches(&b, CXPLAT_DATAPATH_TYPE_RAW);
    REQUIRE(state_remount(0, "nr_inodes=0")); /* as many as it likes */
    member_close(&a);
    member_close(&b);
    serve_by_twos();
    state_close();
}

TEST(without_files_from_the_beginning)
{
    REQUIRE(state_open());
    REQUIRE(state_remount(0, "nr_inodes=1"));
    serves_alone();
    REQUIRE(state_remount(0, "nr_inodes=0"));
    serve_by_twos();
    state_close();
}

TEST(read_only)
{
    REQUIRE(state_open());
    REQUIRE(state_remount(MS_RDONLY, ""));
    serves_alone();
    REQUIRE(state_remount(0, ""));
    serve_by_twos();
    state_close();
}

/* Who is there serves on, and is a stranger to those who come, until it has left: it has the port, and the queues. */
TEST(deleted)
{
    struct member a, b, c;
    REQUIRE(state_open());
    REQUIRE(member_open(&a, 1) && member_open(&b, 2));
    state_delete();
    reaches(&a, CXPLAT_DATAPATH_TYPE_RAW);
    reaches(&b, CXPLAT_DATAPATH_TYPE_RAW);
    refused(3, "port 4433");
    refused(1, "port 4433");
    prepare_member(&c, 1);
    c.port = PORT + 1; /* which nobody has */
    REQUIRE(CHECK_OK(serve(&c)));
    CHECK(!CxPlatSocketRawSocketAvailable(c.server));
    reaches(&c, CXPLAT_DATAPATH_TYPE_NORMAL);
    member_close(&c);
    member_close(&a);
    refused(1, "port 4433");
    reaches(&b, CXPLAT_DATAPATH_TYPE_RAW);
    member_close(&b);
    serve_by_twos();
    state_close();
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_start_runtime;
}

CHECK_MAIN(
    CASE(without_room),
    CASE(without_files),
    CASE(without_files_from_the_beginning),
    CASE(read_only),
    CASE(deleted))
