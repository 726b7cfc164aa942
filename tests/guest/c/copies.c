/* SPDX-License-Identifier: MIT */
/*
 * copies.c - a host that holds the archive twice: in the program and in a shared object.
 *
 *   copies SCENARIO program|object OBJECT [OBJECT]
 *
 * The second argument says which of the two makes a datapath first, and so is the live one.
 *
 *   both            each carries its own traffic; same counters, one runtime
 *   crossed         what is made through one copy is used and deleted through the other
 *   borrowed        the same, and the second copy has never made a datapath
 *   hooked          a log hook set through the second hears of the first, whenever it was set
 *   race            both make their first datapath at the same moment
 *   mismatch        the object is of another version: refused, and told why; the first goes on
 *   unloaded        the object, not live, is closed and unloaded, and loaded again
 *   three           with a second object
 *   forked          in a child of fork both are refused
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "habits.h"
#include "plugin.h"

static const struct plugin own = PLUGIN_TABLE;
static const struct plugin *first, *second, *third; /* in the order in which they initialise */
static const char *object, *other_object;
static void *object_handle;
static bool object_first;

static void load(void)
{
    const struct plugin *loaded = plugin_load(object, &object_handle);
    first = object_first ? loaded : &own;
    second = object_first ? &own : loaded;
}

/* ---- both at work ---- */

static void check_same_counters(void)
{
    struct msquicxdp_counters a = {.size = sizeof(a)}, b = {.size = sizeof(b)};
    CHECK_EQ(first->get_counters(&a), 0);
    CHECK_EQ(second->get_counters(&b), 0);
    CHECK(a.sockets_opened > 0);
    CHECK(memcmp(&a, &b, sizeof(a)) == 0);
}

static void both(void)
{
    static struct traffic a, b;
    struct habits before, now;
    load();
    first->traffic_start(&a, 2);
    habits_note(&before);
    struct guest_usage one = guest_usage();
    second->traffic_start(&b, 2);
    habits_note(&now);
    CHECK_EQ(habits_changed(&before, &now), 0); /* a second runtime would install its handlers */
    for (int i = 0; i < 10; i++) {
        first->traffic_more(&a, 200);
        second->traffic_more(&b, 200);
    }
    guest_say("threads: %d with one datapath, %d with two", one.threads, guest_usage().threads);
    first->traffic_stop(&a);
    second->traffic_stop(&b);
    check_same_counters();
}

/* ---- one's things in the hands of the other ---- */

static void use_across(const struct plugin *maker, const struct plugin *user)
{
    struct rig rig;
    struct inbox in;
    QUIC_ADDR any = addr("127.0.0.1", 0);
    CHECK(maker->open(&rig, 2));
    inbox_init(&in, &rig);
    in.keep = true;
    CXPLAT_SOCKET *socket = maker->udp(&rig, &in, &any, NULL);
    QUIC_ADDR self = socket_local(socket);
    CXPLAT_ROUTE route = {.RemoteAddress = self, .LocalAddress = self, .State = RouteResolved};
    CHECK(user->send(socket, &route, 500, 1));
    CHECK(inbox_wait(&in, INBOX_DATAGRAMS, 1));
    user->recv_return(inbox_take_kept(&in));
    user->delete_socket(socket);
    inbox_seal(&in);
    user->close(&rig);
    inbox_free(&in);
}

static void start_and_stop(const struct plugin *p)
{
    struct rig rig;
    CHECK(p->open(&rig, 1));
    p->close(&rig);
}

static void crossed(void)
{
    load();
    start_and_stop(first);
    start_and_stop(second);
    use_across(first, second);
    use_across(second, first);
    use_across(first, second);
}

static void borrowed(void)
{
    load();
    use_across(first, second);
    check_same_counters();
}

static void count_line(void *context, enum msquicxdp_level level, const char *message)
{
    (void)level, (void)message;
    atomic_fetch_add((_Atomic int *)context, 1);
}

static void hooked(void)
{
    _Atomic int lines = 0;
    struct msquicxdp_log_options log = {
        .size = sizeof(log), .log = count_line, .context = &lines, .level = MSQUICXDP_LEVEL_INFO};
    load();
    CHECK_EQ(second->set_log(&log), 0);
    start_and_stop(first);
    CHECK(atomic_load(&lines) > 0);
    CHECK_EQ(second->set_log(NULL), 0);
    atomic_store(&lines, 0);
    start_and_stop(first);
    CHECK_EQ(atomic_load(&lines), 0);
    CHECK_EQ(second->set_log(&log), 0);
    start_and_stop(first);
    CHECK(atomic_load(&lines) > 0);
    first->set_log(NULL);
}

/* ---- the election ---- */

static pthread_barrier_t together;

static void *live_through(void *copy)
{
    static _Thread_local struct traffic t;
    const struct plugin *p = copy;
    pthread_barrier_wait(&together);
    p->traffic_start(&t, 1);
    p->traffic_more(&t, 50);
    p->traffic_stop(&t);
    return NULL;
}

static void race_of(const struct plugin *const *copies, unsigned count)
{
    pthread_t threads[3];
    CHECK_EQ(pthread_barrier_init(&together, NULL, count), 0);
    for (unsigned i = 0; i < count; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, live_through, (void *)copies[i]), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    check_same_counters();
}

static void race(void)
{
    load();
    race_of((const struct plugin *[]){first, second}, 2);
}

static void three(void)
{
    void *handle;
    load();
    third = plugin_load(other_object, &handle);
    race_of((const struct plugin *[]){first, second, third}, 3);
    use_across(second, third);
    use_across(third, first);
}

/* ---- another version ---- */

static void check_refused(const struct plugin *p)
{
    char reason[512], a[32], b[32];
    CXPLAT_WORKER_POOL *pool = host_pool_create(1, NULL);
    CXPLAT_DATAPATH *datapath = NULL;
    CHECK_EQ(p->initialize(0, &inbox_udp, NULL, pool, NULL, &datapath), QUIC_STATUS_INVALID_STATE);
    CHECK(datapath == NULL);
    p->last_reason(reason, sizeof(reason));
    uint32_t v = first->version(), w = second->version();
    snprintf(a, sizeof(a), "%u.%u.%u", v >> 16, v >> 8 & 255, v & 255);
    snprintf(b, sizeof(b), "%u.%u.%u", w >> 16, w >> 8 & 255, w & 255);
    guest_say("reason: %s", reason);
    CHECK(strcmp(a, b) != 0);
    CHECK(strstr(reason, a) != NULL);
    CHECK(strstr(reason, b) != NULL);
    host_pool_delete(pool);
}

static void mismatch(void)
{
    static struct traffic t;
    load();
    first->traffic_start(&t, 2);
    for (int i = 0; i < 3; i++) {
        check_refused(second);
        first->traffic_more(&t, 100);
    }
    first->traffic_stop(&t);
}

/* ---- fork ---- */

static void check_refused_in_child(const struct plugin *p)
{
    char reason[512];
    CXPLAT_WORKER_POOL *pool = host_pool_create(1, NULL);
    CXPLAT_DATAPATH *datapath = NULL;
    CHECK_EQ(p->initialize(0, &inbox_udp, NULL, pool, NULL, &datapath), QUIC_STATUS_INVALID_STATE);
    p->last_reason(reason, sizeof(reason));
    CHECK(strstr(reason, "docs/HOST.md") != NULL);
    host_pool_delete(pool);
}

static void forked(void)
{
    static struct traffic t;
    load();
    first->traffic_start(&t, 2);
    pid_t pid = fork();
    if (pid == 0) {
        check_refused_in_child(first);
        check_refused_in_child(second);
        _exit(0);
    }
    CHECK_EQ(guest_wait_child(pid, HOST_DEADLINE_MS), 0);
    first->traffic_more(&t, 100);
    first->traffic_stop(&t);
}

/* ---- a copy that goes ---- */

static void unloaded(void)
{
    static struct traffic t, u;
    load();
    first->traffic_start(&t, 2);
    for (int i = 0; i < 20; i++) {
        second->traffic_start(&u, 1);
        second->traffic_more(&u, 20);
        second->traffic_stop(&u);
        CHECK_EQ(dlclose(object_handle), 0);
        void *loaded = dlopen(object, RTLD_NOW | RTLD_NOLOAD);
        CHECK(loaded == NULL);
        first->traffic_more(&t, 20);
        load();
    }
    first->traffic_stop(&t);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        CASE(both),  CASE(crossed),  CASE(borrowed), CASE(hooked),   CASE(race),
        CASE(three), CASE(mismatch), CASE(forked),   CASE(unloaded),
    };
    CHECK(argc >= 4);
    object_first = strcmp(argv[2], "object") == 0;
    object = argv[3];
    other_object = argv[4];
    guest_network();
    guest_play(argv[1], cases, sizeof(cases) / sizeof(cases[0]));
    return 0;
}
