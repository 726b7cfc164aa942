/* SPDX-License-Identifier: MIT */
/*
 * twogo.c - a host that holds another Go runtime, in a shared object of somebody else's.
 *
 *   twogo before|after OBJECT
 *
 * loads it, and so starts its runtime, before or after ours; then both work on the same threads.
 */
#include <dlfcn.h>
#include <string.h>

#include "guest.h"
#include "traffic.h"

enum { ROUNDS = 100, ANSWER = 40 };

static int (*other_go)(void);
static struct traffic traffic;

static void load(const char *path)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        check_fail("%s", dlerror());
    }
    *(void **)&other_go = dlsym(handle, "otherGo");
    CHECK(other_go != NULL);
}

static void call_other(void *unused)
{
    static _Atomic int up_calls;
    (void)unused;
    if (atomic_fetch_add(&up_calls, 1) % 100 == 0) {
        CHECK_EQ(other_go(), ANSWER);
    }
}

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 3);
    guest_network();
    if (strcmp(argv[1], "before") == 0) {
        load(argv[2]);
    }
    rig_open(&traffic.rig, 2);
    if (strcmp(argv[1], "after") == 0) {
        load(argv[2]);
    }
    traffic.on_worker = call_other;
    traffic_start_on(&traffic);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(other_go(), ANSWER);
        traffic_more(&traffic, 100);
    }
    traffic_stop(&traffic);
    CHECK_EQ(other_go(), ANSWER);
    return 0;
}
