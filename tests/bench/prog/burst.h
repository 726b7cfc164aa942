/* SPDX-License-Identifier: MIT */
/* burst.h - one batch of datagrams that is sent again and again on a connected socket. */
#ifndef BENCH_BURST_H
#define BENCH_BURST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "options.h"
#include "udp.h"

struct burst {
    uint8_t data[65536];
    struct iovec iov;
    struct tx_control control;
    struct msghdr header;
    unsigned size, batch;
};

void burst_init(struct burst *b, const struct options *o);

/* One sendmsg for the whole batch; FALSE when the kernel refused it. */
bool burst_send(const struct burst *b, int fd);

#endif
