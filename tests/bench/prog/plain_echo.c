/* SPDX-License-Identifier: MIT */
/*
 * plain_echo.c - sends back what comes, from the address that it was sent to.
 *
 * A reply is written to a buffer of its own, as a protocol that encrypts has to. Replies of up to
 * `batch` datagrams are one message, and all that one read asks for leave in one sendmmsg.
 */
#include <unistd.h>

#include "fail.h"
#include "plain.h"
#include "udp.h"

enum { MAX_REPLIES = 64, OUT_BYTES = MAX_REPLIES * 65536 };

struct reply {
    struct iovec iov;
    struct sockaddr_in to;
    struct tx_control control;
};

struct echo {
    struct meter meter;
    int fd;
    unsigned batch;
    unsigned replies;
    struct mmsghdr message[MAX_REPLIES];
    struct reply reply[MAX_REPLIES];
    uint8_t *out;
    size_t used;
};

static void flush(struct echo *e)
{
    unsigned sent = 0;
    while (sent < e->replies) {
        int n = sendmmsg(e->fd, e->message + sent, e->replies - sent, MSG_NOSIGNAL);
        must(n > 0 || errno == EAGAIN || errno == ECONNREFUSED || errno == EINTR);
        e->meter.now.tx_calls++;
        if (n < 0) {
            e->meter.now.lost++;
            break;
        }
        sent += (unsigned)n;
    }
    e->replies = 0;
    e->used = 0;
}

/* One message of `length` bytes that the kernel cuts by origin->segment. */
static void add_reply(
    struct echo *e, const struct origin *origin, const uint8_t *data, uint32_t length)
{
    unsigned i = e->replies++;
    struct reply *reply = &e->reply[i];
    reply->to = origin->from;
    reply->iov = (struct iovec){.iov_base = e->out + e->used, .iov_len = length};
    memcpy(reply->iov.iov_base, data, length);
    e->used += length;
    reply->control.length = 0;
    tx_control_source(&reply->control, origin->to, origin->interface);
    if (length > origin->segment) {
        tx_control_segment(&reply->control, (uint16_t)origin->segment);
    }
    e->message[i].msg_hdr = (struct msghdr){
        .msg_name = &reply->to,
        .msg_namelen = sizeof(reply->to),
        .msg_iov = &reply->iov,
        .msg_iovlen = 1,
        .msg_control = reply->control.data,
        .msg_controllen = reply->control.length,
    };
    e->meter.now.datagrams += (length + origin->segment - 1) / origin->segment;
    e->meter.now.bytes += length;
}

static void answer(struct echo *e, const struct reader *r, int i)
{
    struct origin origin;
    reader_origin(r, i, &origin);
    const uint8_t *data = r->iov[i].iov_base;
    uint32_t left = r->message[i].msg_len;
    while (left > 0) {
        uint32_t most = e->batch * origin.segment;
        uint32_t length = left < most ? left : most;
        if (e->replies == MAX_REPLIES) {
            flush(e);
        }
        add_reply(e, &origin, data, length);
        data += length;
        left -= length;
    }
}

static void serve(void *context, const struct reader *r, int messages)
{
    struct echo *e = context;
    for (int i = 0; i < messages; i++) {
        answer(e, r, i);
    }
    flush(e);
}

void plain_echo(const struct options *o)
{
    static struct echo e;
    e.fd = udp_open(o);
    e.batch = o->batch;
    e.out = malloc(OUT_BYTES);
    must(e.out != NULL);
    meter_init(&e.meter, o);
    report_ready(udp_port(e.fd));
    plain_loop(e.fd, &e.meter, serve, &e);
    report_result(&e.meter, NULL);
    free(e.out);
    close(e.fd);
}
