/* SPDX-License-Identifier: MIT */
/*
 * dl.c - a host without the archive, that loads a shared object which holds it.
 *
 *   dl SCENARIO OBJECT
 *
 *   reopened        loaded, used and closed twenty times: one runtime, which stays
 *   on_threads      each time on another thread, which then ends
 *   unused          loaded and closed without a datapath: it is unloaded
 *   moved           loaded by a relative path from a directory that the host then leaves
 *   left_open       main returns with a datapath and traffic
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "plugin.h"

enum { TIMES = 20 };

static const char *object;
static struct traffic traffic;

static bool is_loaded(void)
{
    void *handle = dlopen(object, RTLD_NOW | RTLD_NOLOAD);
    if (handle != NULL) {
        dlclose(handle);
    }
    return handle != NULL;
}

static void use_once(void)
{
    void *handle;
    const struct plugin *p = plugin_load(object, &handle);
    p->traffic_start(&traffic, 2);
    p->traffic_more(&traffic, 200);
    p->traffic_stop(&traffic);
    CHECK_EQ(dlclose(handle), 0);
}

static void reopened(void)
{
    use_once();
    CHECK(is_loaded());
    struct guest_usage first = guest_usage();
    for (int i = 1; i < TIMES; i++) {
        use_once();
    }
    CHECK(guest_wait_threads(
        first.threads + TIMES)); /* a runtime for each would have five times that */
    CHECK_EQ(guest_usage().fds, first.fds);
    guest_say("threads: %d, then %d", first.threads, guest_usage().threads);
}

static void *use_on_thread(void *unused)
{
    use_once();
    return unused;
}

static void on_threads(void)
{
    for (int i = 0; i < TIMES; i++) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, use_on_thread, NULL), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
}

static void unused(void)
{
    for (int i = 0; i < TIMES; i++) {
        void *handle;
        const struct plugin *p = plugin_load(object, &handle);
        struct msquicxdp_counters counters = {.size = sizeof(counters)};
        CHECK_EQ(p->version(), MSQUICXDP_VERSION);
        CHECK_EQ(p->get_counters(&counters), 0);
        CHECK_EQ(dlclose(handle), 0);
        CHECK(!is_loaded());
    }
    CHECK_EQ(guest_usage().threads, 1);
}

static void moved(void)
{
    static char path[4096];
    char *folder = strdup(object);
    char *slash = strrchr(folder, '/');
    snprintf(path, sizeof(path), ".%s", slash);
    *slash = '\0';
    CHECK_EQ(chdir(folder), 0);
    free(folder);
    object = path;
    void *handle;
    const struct plugin *p = plugin_load(object, &handle);
    CHECK_EQ(chdir("/"), 0);
    p->traffic_start(&traffic, 2);
    p->traffic_more(&traffic, 200);
    p->traffic_stop(&traffic);
    CHECK_EQ(dlclose(handle), 0);
    CHECK(is_loaded());
}

static void left_open(void)
{
    void *handle;
    const struct plugin *p = plugin_load(object, &handle);
    p->traffic_start(&traffic, 2);
    p->traffic_more(&traffic, 200);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(reopened), CASE(on_threads), CASE(unused), CASE(moved), CASE(left_open),
    };
    CHECK_EQ(argc, 3);
    object = argv[2];
    guest_network();
    guest_play(argv[1], cases, sizeof(cases) / sizeof(cases[0]));
    return 0;
}
