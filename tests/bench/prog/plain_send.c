/* SPDX-License-Identifier: MIT */
/*
 * plain_send.c - a sender that writes every payload anew, and gives each batch to one sendmsg.
 *
 * Its socket is watched by an event queue, since a client has to hear of answers: the kernel then
 * tells the queue of every packet that has left, which is part of the price of sending.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "burst.h"
#include "fail.h"
#include "plain.h"

/* Batches between two looks at the event queue. */
enum { POLL_EVERY = 256 };

static void fill(struct burst *b, const uint8_t *payload)
{
    for (unsigned i = 0; i < b->batch; i++) {
        memcpy(b->data + (size_t)i * b->size, payload, b->size);
    }
}

void plain_send(const struct options *o)
{
    static struct burst burst;
    static uint8_t payload[MAX_SIZE];
    struct meter m;
    int fd = udp_open(o);
    udp_connect(fd, o);
    burst_init(&burst, o);
    int queue = plain_watch(fd);
    meter_init(&m, o);
    for (unsigned n = 0; meter_goes_on(&m); n++) {
        fill(&burst, payload);
        m.now.tx_calls++;
        if (burst_send(&burst, fd)) {
            m.now.datagrams += o->batch;
            m.now.bytes += (uint64_t)o->batch * o->size;
        } else {
            m.now.lost += o->batch;
        }
        if (n % POLL_EVERY == 0) {
            struct epoll_event event;
            epoll_wait(queue, &event, 1, 0);
        }
    }
    report_result(&m, NULL);
    close(queue);
    close(fd);
}
