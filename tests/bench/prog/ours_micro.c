/* SPDX-License-Identifier: MIT */
/*
 * ours_micro.c - what single calls cost, with nothing of the network in them.
 *
 * lane      CxPlatSendDataAlloc, CxPlatSendDataAllocBuffer and CxPlatSendDataFree: answered in C
 * wake-up   the completion of a socket's event that names no events: one call into Go, which finds
 *           nothing to do, and the C around it (gate, turn, counters). The archive's own counter
 *           must agree that it was one call each
 * cold      the same with a send on a bare socket before each, less that send: what is left of
 *           the caches and predictors when the kernel has been through its network stack
 * syscall   getppid, for scale
 */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fail.h"
#include "msquicxdp/msquicxdp.h"
#include "ours.h"
#include "worker.h"

enum { ROUND = 1000, LIMIT_MS = 1000 };

struct micro {
    struct ours d;
    CXPLAT_ROUTE route;
    CXPLAT_CQE wake_up;
    int unread; /* a socket that nobody reads */
    int sender; /* connected to it */
};

static void ignore(CXPLAT_SOCKET *socket, void *context, CXPLAT_RECV_DATA *chain)
{
    (void)socket, (void)context;
    CxPlatRecvDataReturn(chain);
}

static void lane(struct micro *m)
{
    CXPLAT_SEND_CONFIG config = {.Route = &m->route, .MaxPacketSize = 1280};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(m->d.socket[0], &config);
    if (send == NULL || CxPlatSendDataAllocBuffer(send, 1280) == NULL) {
        fail("a send cannot be had");
    }
    CxPlatSendDataFree(send);
}

static void wake_up(struct micro *m)
{
    CXPLAT_SQE *sqe = m->wake_up.data.ptr;
    sqe->Completion(&m->wake_up);
}

static void system_call(struct micro *m)
{
    (void)m;
    syscall(SYS_getppid);
}

static void open_sender(struct micro *m)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = m->d.options->local};
    socklen_t length = sizeof(to);
    m->unread = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    m->sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must(m->unread >= 0 && m->sender >= 0);
    must(bind(m->unread, (struct sockaddr *)&to, length) == 0);
    must(getsockname(m->unread, (struct sockaddr *)&to, &length) == 0);
    must(connect(m->sender, (struct sockaddr *)&to, length) == 0);
}

static void send_one(struct micro *m)
{
    must(send(m->sender, "", 1, 0) == 1);
}

static void send_and_wake_up(struct micro *m)
{
    send_one(m);
    wake_up(m);
}

static uint64_t crossings(void)
{
    struct counts now;
    ours_refresh(&now);
    return now.rx_calls;
}

/* Lets the socket get an event, and keeps that, without the reason that it had. */
static void catch_wake_up(struct micro *m)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    QUIC_ADDR to;
    CxPlatSocketGetLocalAddress(m->d.socket[0], &to);
    must(fd >= 0 && sendto(fd, "", 1, 0, &to.Ip, sizeof(to.Ipv4)) == 1);
    close(fd);
    for (uint64_t before = crossings(); crossings() == before;) { /* the pool has events, too */
        must(epoll_wait(m->d.queue, &m->wake_up, 1, LIMIT_MS) == 1);
        wake_up(m); /* reads the datagram */
    }
    m->wake_up.events = 0;
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Calls of fn in `ms` milliseconds, and the nanoseconds of each. */
static double time_calls(void (*fn)(struct micro *), struct micro *m, unsigned ms, uint64_t *calls)
{
    uint64_t start = cpu_ns(), now;
    *calls = 0;
    do {
        for (int i = 0; i < ROUND; i++) {
            fn(m);
        }
        *calls += ROUND;
        now = cpu_ns();
    } while (now - start < (uint64_t)ms * 1000000 && !stop_wanted());
    return (double)(now - start) / (double)*calls;
}

static double time_wake_ups(void (*fn)(struct micro *), struct micro *m, unsigned ms)
{
    uint64_t calls, before = crossings();
    double ns = time_calls(fn, m, ms, &calls);
    if (crossings() - before != calls) {
        fail("%lu wake-ups made %lu calls into Go", calls, crossings() - before);
    }
    return ns;
}

void ours_micro(const struct options *o)
{
    static struct micro m;
    uint64_t calls;
    ours_open(&m.d, o, false, ignore, NULL);
    CxPlatSocketGetLocalAddress(m.d.socket[0], &m.route.LocalAddress);
    CxPlatSocketGetLocalAddress(m.d.socket[0], &m.route.RemoteAddress);
    m.route.State = RouteResolved;
    catch_wake_up(&m);
    open_sender(&m);
    time_calls(lane, &m, o->warmup, &calls);
    double lane_ns = time_calls(lane, &m, o->time, &calls);
    double wake_up_ns = time_wake_ups(wake_up, &m, o->time);
    double syscall_ns = time_calls(system_call, &m, o->time, &calls);
    double send_ns = time_calls(send_one, &m, o->time, &calls);
    double cold_ns = time_wake_ups(send_and_wake_up, &m, o->time) - send_ns;
    printf(
        "{\"lane_ns\":%.1f,\"wake_up_ns\":%.1f,\"cold_wake_up_ns\":%.1f,\"syscall_ns\":%.1f}\n",
        lane_ns, wake_up_ns, cold_ns, syscall_ns);
    close(m.unread);
    close(m.sender);
    ours_close(&m.d);
}
