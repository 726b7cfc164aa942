/* SPDX-License-Identifier: MIT */
/* notice_test.c - what a datapath says to other processes of the AF_XDP that it asked for. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/wire.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* The path of a name in the state directory of this network namespace. */
static void state_path(char *path, size_t size, const char *name)
{
    char boot[64] = "";
    uint64_t cookie = 0;
    socklen_t length = sizeof(cookie);
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    REQUIRE(f != NULL);
    CHECK(fscanf(f, "%63s", boot) == 1);
    fclose(f);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length), 0);
    close(fd);
    const char *base = getenv("MSQUICXDP_STATE_DIR");
    snprintf(
        path, size, "%s/%s-%llu/%s", base != NULL ? base : "/run/msquicxdp", boot,
        (unsigned long long)cookie, name);
}

/* Reads this process's notice. Empty when there is none. */
static void read_notice(char *text, size_t size)
{
    char pattern[512], name[64];
    snprintf(name, sizeof(name), "xdp.%d.*.notice", (int)getpid());
    state_path(pattern, sizeof(pattern), name);
    text[0] = '\0';
    glob_t found;
    if (glob(pattern, 0, NULL, &found) == 0) {
        CHECK_EQ(found.gl_pathc, 1);
        FILE *f = fopen(found.gl_pathv[0], "r");
        if (CHECK(f != NULL)) {
            text[fread(text, 1, size - 1, f)] = '\0';
            fclose(f);
        }
    }
    globfree(&found);
}

/* Polls until the notice has these words, which it gets from another thread. */
static bool notice_says(struct rig *rig, const char *words)
{
    char text[16384];
    for (int i = 0; i < 1000; i++) {
        read_notice(text, sizeof(text));
        if (strstr(text, words) != NULL) {
            return true;
        }
        rig_poll(rig, 10);
    }
    check_fail("the notice does not say %s: %s", words, text);
    return false;
}

static CXPLAT_SOCKET *server(struct rig *rig, struct inbox *in, CXPLAT_SOCKET_FLAGS flags)
{
    return rig_udp_flags(rig, in, NULL, NULL, flags | CXPLAT_SOCKET_SERVER_OWNED);
}

static bool open_server(struct duo *d, CXPLAT_SOCKET_FLAGS flags)
{
    memset(d, 0, sizeof(*d));
    if (!CHECK(wire_open()) || !rig_open(&d->rig, 1)) {
        return false;
    }
    inbox_init(&d->server_in, &d->rig);
    inbox_init(&d->client_in, &d->rig);
    inbox_init(&d->accepted_in, &d->rig);
    d->server = server(&d->rig, &d->server_in, flags);
    return d->server != NULL;
}

TEST(what_is_served_is_said_as_long_as_it_is)
{
    char text[16384];
    struct duo d;
    REQUIRE(open_server(&d, CXPLAT_SOCKET_FLAG_XDP));
    CHECK(notice_says(&d.rig, "\"served\":[\"duo"));
    duo_close(&d);
    read_notice(text, sizeof(text));
    CHECK_EQ(text[0], '\0');
    CHECK(wire_close());
}

TEST(who_does_not_ask_says_nothing)
{
    char text[16384];
    struct duo d;
    REQUIRE(open_server(&d, CXPLAT_SOCKET_FLAG_NONE));
    read_notice(text, sizeof(text));
    CHECK_EQ(text[0], '\0');
    duo_close(&d);
    CHECK(wire_close());
}

/* What keeps it from AF_XDP, here something in the place of a lock file, is said; and no more when it has it. */
TEST(why_there_is_none_is_said)
{
    char path[512];
    struct duo d;
    REQUIRE(open_server(&d, CXPLAT_SOCKET_FLAG_NONE));
    state_path(path, sizeof(path), "xdp");
    (void)unlink(path); /* of an earlier test, which nobody has any more */
    REQUIRE(CHECK_EQ(mkdir(path, 0700), 0));
    CXPLAT_SOCKET *without = server(&d.rig, &d.client_in, CXPLAT_SOCKET_FLAG_XDP);
    REQUIRE(without != NULL);
    CHECK(!CxPlatSocketRawSocketAvailable(without));
    CHECK(notice_says(&d.rig, "\"reasons\":[\"state in "));
    CHECK_EQ(rmdir(path), 0);
    for (int i = 0; i < 1000; i++) { /* it tries again after a second */
        CXPLAT_SOCKET *with = server(&d.rig, &d.accepted_in, CXPLAT_SOCKET_FLAG_XDP);
        bool available = CxPlatSocketRawSocketAvailable(with);
        rig_delete(with, &d.accepted_in);
        if (available) {
            break;
        }
        rig_poll(&d.rig, 10);
    }
    CHECK(notice_says(&d.rig, "\"served\":[\"duo"));
    rig_delete(without, &d.client_in);
    duo_close(&d);
    CHECK(wire_close());
}

CHECK_MAIN(
    CASE(what_is_served_is_said_as_long_as_it_is),
    CASE(who_does_not_ask_says_nothing),
    CASE(why_there_is_none_is_said))
