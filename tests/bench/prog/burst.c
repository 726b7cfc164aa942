/* SPDX-License-Identifier: MIT */
/* burst.c - one message, cut by the kernel where it holds several datagrams. */
#include "burst.h"

#include "fail.h"

void burst_init(struct burst *b, const struct options *o)
{
    memset(b, 0, sizeof(*b));
    b->size = o->size;
    b->batch = o->batch;
    b->iov.iov_base = b->data;
    b->iov.iov_len = (size_t)o->size * o->batch;
    b->header.msg_iov = &b->iov;
    b->header.msg_iovlen = 1;
    if (o->batch > 1) {
        tx_control_segment(&b->control, (uint16_t)o->size);
        b->header.msg_control = b->control.data;
        b->header.msg_controllen = b->control.length;
    }
}

bool burst_send(const struct burst *b, int fd)
{
    ssize_t n = sendmsg(fd, &b->header, MSG_NOSIGNAL);
    must(n >= 0 || errno == EAGAIN || errno == ECONNREFUSED || errno == ENOBUFS);
    return n >= 0;
}
