/* SPDX-License-Identifier: MIT */
/* xdp_frame.h - a UDP datagram with all its headers, made once and copied again and again. */
#ifndef BENCH_XDP_FRAME_H
#define BENCH_XDP_FRAME_H

#include <stdint.h>

#include "options.h"

enum {
    XDP_HEADERS = 14 + 20 + 8,
    XDP_HOP_LIMIT = 128, /* the archive's, and not the kernel's */
    XDP_PORT = 4433      /* of a plain server */
};

struct xdp_frame {
    unsigned length;
    uint8_t bytes[XDP_HEADERS + MAX_SIZE];
};

/* From local, `port`, to remote, with a payload that begins as a short QUIC header does. */
void xdp_frame_init(struct xdp_frame *f, const struct options *o, uint16_t port);

/* Writes the frame with an identifier, which stands for a member, in its connection ID. */
void xdp_frame_write(const struct xdp_frame *f, uint8_t *to, unsigned identifier);

/* Turns a received frame around: it goes back to where it came from. */
void xdp_frame_swap(uint8_t *frame);

#endif
