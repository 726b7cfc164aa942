/* SPDX-License-Identifier: MIT */
/* lifetime_test.c - deleting sockets: what it waits for, and what never comes after. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/order.h"
#include "host/pattern.h"
#include "host/peer.h"

/* ---- a delete waits for up-calls that run on other threads ---- */

/* An up-call that stays inside until the test lets it go. */
struct hold {
    struct gauge entered;
    struct gauge open;
};

static bool hold_receive(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    struct hold *h = in->user;
    (void)socket;
    CxPlatRecvDataReturn(chain);
    gauge_add(&h->entered, 1);
    CHECK(gauge_wait(&h->open, 1));
    return true;
}

static void hold_init(struct hold *h, struct inbox *in)
{
    gauge_init(&h->entered);
    gauge_init(&h->open);
    in->user = h;
    in->on_receive = hold_receive;
}

static void hold_destroy(struct hold *h)
{
    gauge_destroy(&h->entered);
    gauge_destroy(&h->open);
}

struct deletion {
    pthread_t thread;
    CXPLAT_SOCKET *socket;
    struct inbox *in;
    struct gauge begun;
    struct gauge done;
};

static void *delete_it(void *arg)
{
    struct deletion *x = arg;
    gauge_add(&x->begun, 1);
    rig_delete(x->socket, x->in); /* checks that nobody is inside any more */
    gauge_add(&x->done, 1);
    return NULL;
}

static void deletion_start(struct deletion *x, CXPLAT_SOCKET *socket, struct inbox *in)
{
    x->socket = socket;
    x->in = in;
    gauge_init(&x->begun);
    gauge_init(&x->done);
    pthread_create(&x->thread, NULL, delete_it, x);
}

static void deletion_join(struct deletion *x)
{
    pthread_join(x->thread, NULL);
    gauge_destroy(&x->begun);
    gauge_destroy(&x->done);
}

TEST(delete_waits_for_a_running_up_call)
{
    struct duo d;
    struct hold h;
    struct deletion x;
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    hold_init(&h, &d.server_in);
    send_pattern(d.client, &d.route, 100, 1);
    CHECK(gauge_wait(&h.entered, 1));
    deletion_start(&x, d.server, &d.server_in);
    d.server = NULL;
    CHECK(gauge_wait(&x.begun, 1));
    CHECK(!gauge_wait_ms(&x.done, 1, 200)); /* the one wait that must come to nothing */
    CHECK_EQ(atomic_load(&d.server_in.inside), 1);
    gauge_add(&h.open, 1);
    CHECK(gauge_wait(&x.done, 1));
    deletion_join(&x);
    duo_close(&d);
    hold_destroy(&h);
}

/* The worker that holds one socket's up-call does not hold up the deletion of another one. */
TEST(delete_does_not_wait_for_other_sockets)
{
    struct duo d;
    struct hold h;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    hold_init(&h, &d.server_in);
    send_pattern(d.client, &d.route, 100, 1);
    CHECK(gauge_wait(&h.entered, 1));
    rig_delete(d.client, &d.client_in); /* on the same worker, which does not come round */
    d.client = NULL;
    gauge_add(&h.open, 1);
    duo_close(&d);
    hold_destroy(&h);
}

/* ---- under fire ---- */

struct fire {
    pthread_t thread;
    QUIC_ADDR to;
    _Atomic bool stop;
    struct gauge sent;
};

static void *keep_firing(void *arg)
{
    struct fire *f = arg;
    QUIC_ADDR mine = addr("127.0.0.1", 0);
    int fd = peer_udp(&mine);
    while (!atomic_load(&f->stop)) {
        peer_send(fd, &f->to, "bang", 4); /* refused while there is no socket: no matter */
        gauge_add(&f->sent, 1);
    }
    close(fd);
    return NULL;
}

static void fire_start(struct fire *f, QUIC_ADDR to)
{
    f->to = to;
    atomic_store(&f->stop, false);
    gauge_init(&f->sent);
    pthread_create(&f->thread, NULL, keep_firing, f);
}

static void fire_stop(struct fire *f)
{
    atomic_store(&f->stop, true);
    pthread_join(f->thread, NULL);
    gauge_destroy(&f->sent);
}

/* Deleted in the midst of traffic, a hundred times: the seal of the inbox catches late up-calls. */
TEST(no_up_call_after_delete)
{
    struct rig rig;
    struct fire fire;
    QUIC_ADDR local = addr("127.0.0.1", 4433);
    REQUIRE(rig_open(&rig, 4));
    fire_start(&fire, local);
    for (int i = 0; i < 100; i++) {
        struct inbox in;
        inbox_init(&in, &rig);
        in.no_copies = true;
        CXPLAT_SOCKET *socket = rig_udp(&rig, &in, &local, NULL);
        CHECK(inbox_wait(&in, INBOX_CHAINS, 3));
        rig_delete(socket, &in);
        CHECK(gauge_wait(&fire.sent, gauge_read(&fire.sent) + 5)); /* time for late ones to come */
        inbox_free(&in);
    }
    fire_stop(&fire);
    rig_close(&rig);
}

/* The variable that takes the new socket is written before the first up-call of it. */
struct birth {
    CXPLAT_SOCKET *socket;
    struct inbox in;
};

static ORDER_OF_THE_KERNEL bool is_born(const struct birth *b, const CXPLAT_SOCKET *socket)
{
    return *(CXPLAT_SOCKET *const volatile *)&b->socket == socket;
}

static bool check_birth(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    (void)chain;
    CHECK(is_born(in->user, socket));
    return false; /* and go on as usual */
}

TEST(a_socket_is_handed_out_before_its_first_up_call)
{
    struct rig rig;
    struct fire fire;
    QUIC_ADDR local = addr("127.0.0.1", 4433);
    REQUIRE(rig_open(&rig, 2));
    fire_start(&fire, local);
    for (int i = 0; i < 200; i++) {
        struct birth b = {0};
        CXPLAT_UDP_CONFIG config = {.LocalAddress = &local, .CallbackContext = &b.in};
        inbox_init(&b.in, &rig);
        b.in.no_copies = true;
        b.in.user = &b;
        b.in.on_receive = check_birth;
        order_before_event();
        CHECK_OK(CxPlatSocketCreateUdp(rig.datapath, &config, &b.socket));
        CHECK(inbox_wait(&b.in, INBOX_CHAINS, 1));
        rig_delete(b.socket, &b.in);
        inbox_free(&b.in);
    }
    fire_stop(&fire);
    rig_close(&rig);
}

/* Two threads delete different sockets at once, while both are under fire. */
TEST(concurrent_deletes)
{
    enum { COUNT = 8 };
    for (int round = 0; round < 20; round++) {
        struct rig rig;
        struct inbox in[COUNT];
        struct deletion x[COUNT];
        CXPLAT_SOCKET *socket[COUNT];
        struct fire fire;
        QUIC_ADDR loopback = addr("127.0.0.1", 0);
        REQUIRE(rig_open(&rig, 2));
        for (int i = 0; i < COUNT; i++) {
            inbox_init(&in[i], &rig);
            in[i].no_copies = true;
            socket[i] =
                rig_udp_flags(&rig, &in[i], &loopback, NULL, CXPLAT_SOCKET_FLAG_PARTITIONED);
        }
        fire_start(&fire, socket_local(socket[0]));
        CHECK(inbox_wait(&in[0], INBOX_CHAINS, 1));
        for (int i = 0; i < COUNT; i++) {
            deletion_start(&x[i], socket[i], &in[i]);
        }
        for (int i = 0; i < COUNT; i++) {
            deletion_join(&x[i]);
        }
        fire_stop(&fire);
        rig_close(&rig);
        for (int i = 0; i < COUNT; i++) {
            inbox_free(&in[i]);
        }
    }
}

/* ---- deletes on a worker ---- */

struct victim {
    CXPLAT_SOCKET *socket;
    struct inbox in;
    struct gauge deleted;
};

static bool delete_victim(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    struct victim *v = in->user;
    (void)socket;
    if (v->socket != NULL) {
        rig_delete(v->socket, &v->in);
        v->socket = NULL;
        gauge_add(&v->deleted, 1);
    }
    CxPlatRecvDataReturn(chain);
    return true;
}

/* Inside an up-call of another socket, on the only worker: it must not wait for that worker. */
TEST(delete_inside_an_up_call_of_another_socket)
{
    struct duo d;
    struct victim v;
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    inbox_init(&v.in, &d.rig);
    gauge_init(&v.deleted);
    v.socket = rig_udp(&d.rig, &v.in, &loopback, NULL);
    d.server_in.user = &v;
    d.server_in.on_receive = delete_victim;
    send_pattern(d.client, &d.route, 100, 1);
    CHECK(gauge_wait(&v.deleted, 1));
    duo_close(&d);
    gauge_destroy(&v.deleted);
    inbox_free(&v.in);
}

/* Sockets come into being inside up-calls, too. */
static bool create_inside(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    struct victim *v = in->user;
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    (void)socket;
    v->socket = rig_udp(in->rig, &v->in, &loopback, NULL);
    gauge_add(&v->deleted, 1);
    CxPlatRecvDataReturn(chain);
    return true;
}

TEST(create_inside_an_up_call)
{
    struct duo d;
    struct victim v = {0};
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    inbox_init(&v.in, &d.rig);
    gauge_init(&v.deleted);
    d.server_in.user = &v;
    d.server_in.on_receive = create_inside;
    send_pattern(d.client, &d.route, 100, 1);
    CHECK(gauge_wait(&v.deleted, 1));
    QUIC_ADDR local = socket_local(v.socket);
    CXPLAT_ROUTE route = route_to(v.socket, &local);
    send_pattern(v.socket, &route, 50, 2);
    CHECK(inbox_wait(&v.in, INBOX_DATAGRAMS, 1));
    rig_delete(v.socket, &v.in);
    duo_close(&d);
    gauge_destroy(&v.deleted);
    inbox_free(&v.in);
}

TEST(delete_on_the_only_polling_thread)
{
    struct duo d;
    REQUIRE(duo_open_external(&d, "127.0.0.1"));
    CHECK(duo_exchange(&d, 100, 1) != NULL);
    send_pattern(d.client, &d.route, 100, 2); /* unread when everything ends */
    duo_close(&d);
}

/* ---- events that were fetched before the delete ---- */

/* The event of a deleted socket is dispatched: it finds nobody, and harms nobody. */
TEST(an_event_may_come_after_delete)
{
    struct duo d;
    REQUIRE(duo_open_external(&d, "127.0.0.1"));
    send_pattern(d.client, &d.route, 100, 1);
    CHECK_EQ(host_pool_harvest(d.rig.pool, 0, 1000), 1);
    rig_delete(d.server, &d.server_in);
    d.server = NULL;
    CHECK_EQ(host_pool_dispatch(d.rig.pool, 0), 1);
    CHECK_EQ(inbox_count(&d.server_in, INBOX_CHAINS), 0);
    duo_close(&d);
}

/* So it is when new sockets have been made meanwhile, which may have what the old one had. */
TEST(a_late_event_does_not_reach_a_newer_socket)
{
    enum { NEWER = 32 };
    struct duo d;
    struct inbox in[NEWER];
    CXPLAT_SOCKET *newer[NEWER];
    REQUIRE(duo_open_external(&d, "127.0.0.1"));
    send_pattern(d.client, &d.route, 100, 1);
    CHECK_EQ(host_pool_harvest(d.rig.pool, 0, 1000), 1);
    rig_delete(d.server, &d.server_in);
    d.server = NULL;
    for (int i = 0; i < NEWER; i++) {
        inbox_init(&in[i], &d.rig);
        newer[i] = rig_udp(&d.rig, &in[i], i == 0 ? &d.address : NULL, NULL);
    }
    CHECK_EQ(host_pool_dispatch(d.rig.pool, 0), 1);
    for (int i = 0; i < NEWER; i++) {
        CHECK_EQ(inbox_count(&in[i], INBOX_CHAINS), 0);
    }
    send_pattern(d.client, &d.route, 60, 2); /* the first has the old one's port */
    CHECK(inbox_wait(&in[0], INBOX_DATAGRAMS, 1));
    for (int i = 0; i < NEWER; i++) {
        rig_delete(newer[i], &in[i]);
        inbox_free(&in[i]);
    }
    duo_close(&d);
}

/* A full batch, of which the first completion deletes the sockets of all others. */
enum { CROWD = 12 };

struct crowd {
    struct inbox in[CROWD];
    CXPLAT_SOCKET *socket[CROWD];
    _Atomic int up_calls;
};

static bool delete_the_others(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    struct crowd *c = in->user;
    atomic_fetch_add(&c->up_calls, 1);
    for (int i = 0; i < CROWD; i++) {
        if (c->socket[i] != socket) {
            rig_delete(c->socket[i], &c->in[i]);
            c->socket[i] = NULL;
        }
    }
    CxPlatRecvDataReturn(chain);
    return true;
}

TEST(an_up_call_deletes_the_rest_of_its_batch)
{
    struct rig rig;
    static struct crowd c;
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    REQUIRE(rig_open_external(&rig, 1));
    memset(&c, 0, sizeof(c));
    int fd = peer_udp(&loopback);
    for (int i = 0; i < CROWD; i++) {
        inbox_init(&c.in[i], &rig);
        c.in[i].user = &c;
        c.in[i].on_receive = delete_the_others;
        c.socket[i] = rig_udp(&rig, &c.in[i], &loopback, NULL);
        QUIC_ADDR to = socket_local(c.socket[i]);
        CHECK(peer_send(fd, &to, "now", 3));
    }
    CHECK_EQ(host_pool_harvest_count(rig.pool, 0, CROWD), CROWD);
    CHECK_EQ(host_pool_dispatch(rig.pool, 0), CROWD);
    CHECK_EQ(atomic_load(&c.up_calls), 1);
    for (int i = 0; i < CROWD; i++) {
        rig_delete(c.socket[i], &c.in[i]);
    }
    close(fd);
    rig_close(&rig);
    for (int i = 0; i < CROWD; i++) {
        inbox_free(&c.in[i]);
    }
}

/* ---- the port ---- */

/* Free when the delete returns: at once it can be had again, exclusively, by anybody. */
static void rebind(uint32_t workers)
{
    struct rig rig;
    QUIC_ADDR local = addr("127.0.0.1", 4433);
    REQUIRE(rig_open(&rig, workers));
    for (int i = 0; i < 200; i++) {
        struct inbox in;
        inbox_init(&in, &rig);
        CXPLAT_SOCKET *socket = rig_udp(&rig, &in, &local, NULL);
        rig_delete(socket, &in);
        int fd = peer_udp(&local); /* a stranger's, without SO_REUSEPORT */
        CHECK(fd >= 0);
        close(fd);
        inbox_free(&in);
    }
    rig_close(&rig);
}

TEST(a_port_is_free_when_its_socket_is_deleted)
{
    rebind(1);
    rebind(4);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(delete_waits_for_a_running_up_call),
    CASE(delete_does_not_wait_for_other_sockets),
    CASE(no_up_call_after_delete),
    CASE(a_socket_is_handed_out_before_its_first_up_call),
    CASE(concurrent_deletes),
    CASE(delete_inside_an_up_call_of_another_socket),
    CASE(create_inside_an_up_call),
    CASE(delete_on_the_only_polling_thread),
    CASE(an_event_may_come_after_delete),
    CASE(a_late_event_does_not_reach_a_newer_socket),
    CASE(an_up_call_deletes_the_rest_of_its_batch),
    CASE(a_port_is_free_when_its_socket_is_deleted))
