/* SPDX-License-Identifier: MIT */
/* reader.c - reads messages, parses their control messages, cuts them into datagrams. */
#include "reader.h"

#include <netinet/udp.h>

#include "fail.h"

void reader_init(struct reader *r)
{
    memset(r, 0, sizeof(*r));
    r->buffer = malloc((size_t)READER_BATCH * READER_BUFFER);
    must(r->buffer != NULL);
    for (int i = 0; i < READER_BATCH; i++) {
        r->iov[i].iov_base = r->buffer + (size_t)i * READER_BUFFER;
        r->iov[i].iov_len = READER_BUFFER;
    }
}

void reader_free(struct reader *r)
{
    free(r->buffer);
}

/* The kernel overwrites the lengths. */
static void reset(struct reader *r)
{
    for (int i = 0; i < READER_BATCH; i++) {
        r->message[i].msg_hdr = (struct msghdr){
            .msg_name = &r->from[i],
            .msg_namelen = sizeof(r->from[i]),
            .msg_iov = &r->iov[i],
            .msg_iovlen = 1,
            .msg_control = r->control[i],
            .msg_controllen = READER_CONTROL,
        };
    }
}

int reader_read(struct reader *r, int fd)
{
    reset(r);
    int n = recvmmsg(fd, r->message, READER_BATCH, MSG_DONTWAIT, NULL);
    must(n >= 0 || errno == EAGAIN || errno == EINTR || errno == ECONNREFUSED);
    return n > 0 ? n : 0;
}

static void take(struct origin *origin, struct cmsghdr *c)
{
    const void *data = CMSG_DATA(c);
    if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
        origin->segment = (uint32_t) * (const int *)data;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        const struct in_pktinfo *info = data;
        origin->to = info->ipi_addr;
        origin->interface = info->ipi_ifindex;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
        origin->tos = *(const uint8_t *)data;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) {
        origin->ttl = (uint8_t) * (const int *)data;
    }
}

void reader_origin(const struct reader *r, int i, struct origin *origin)
{
    struct msghdr *header = (struct msghdr *)&r->message[i].msg_hdr;
    *origin = (struct origin){.from = r->from[i], .segment = r->message[i].msg_len};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        take(origin, c);
    }
}

void reader_deliver(const struct reader *r, int i, datagram_fn *fn, void *context)
{
    struct origin origin;
    reader_origin(r, i, &origin);
    struct datagram d = {.data = r->iov[i].iov_base, .origin = &origin};
    for (uint32_t left = r->message[i].msg_len; left > 0; left -= d.length) {
        d.length = left < origin.segment ? left : origin.segment;
        fn(context, &d);
        d.data += d.length;
    }
}
