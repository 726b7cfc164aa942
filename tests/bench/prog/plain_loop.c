/* SPDX-License-Identifier: MIT */
/* plain_loop.c - epoll, and recvmmsg until the socket is empty. */
#include <sys/epoll.h>
#include <unistd.h>

#include "fail.h"
#include "plain.h"
#include "worker.h"

enum { MAX_READS = 16 }; /* for one event; the queue is level-triggered and brings the rest */

int plain_watch(int fd)
{
    int queue = epoll_create1(EPOLL_CLOEXEC);
    must(queue >= 0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    must(epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) == 0);
    return queue;
}

/* Fewer messages than asked for: the socket is empty, and the read that would say so is saved. */
static void drain(int fd, struct meter *m, struct reader *r, plain_serve_fn *serve, void *context)
{
    for (int i = 0; i < MAX_READS; i++) {
        int n = reader_read(r, fd);
        m->now.rx_calls++;
        if (n > 0) {
            serve(context, r, n);
        }
        if (n < READER_BATCH) {
            return;
        }
    }
}

void plain_loop(int fd, struct meter *m, plain_serve_fn *serve, void *context)
{
    static struct reader reader;
    reader_init(&reader);
    int queue = plain_watch(fd);
    while (meter_goes_on(m)) {
        struct epoll_event event;
        if (epoll_wait(queue, &event, 1, STOP_CHECK_MS) > 0) {
            drain(fd, m, &reader, serve, context);
        }
    }
    close(queue);
    reader_free(&reader);
}
