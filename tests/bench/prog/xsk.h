/* SPDX-License-Identifier: MIT */
/*
 * xsk.h - an AF_XDP socket with a UMEM of its own, in copy mode, on queue 0: what the plain loops are made of.
 *
 * Sizes are those of a member of the archive's pools. Chunks go around: FILL, RX, and back; or free,
 * TX, COMPLETION, and free again.
 */
#ifndef BENCH_XSK_H
#define BENCH_XSK_H

#include <linux/if_xdp.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    XSK_BATCH = 64,
    XSK_RX = 512,
    XSK_TX = 256,
    XSK_RX_CHUNKS = XSK_RX + 1024,
    XSK_CHUNK = 2048,
    XSK_FILL = 2048,      /* more than chunks to receive into */
    XSK_COMPLETION = 2048 /* more than all chunks */
};

struct xsk_ring {
    uint32_t *producer, *consumer, *flags;
    void *entries;
    uint32_t mask;
    uint32_t next;  /* this end's index */
    uint32_t other; /* the other end's, as last read */
};

struct xsk {
    int fd;
    uint8_t *umem;
    struct xsk_ring rx, tx, fill, completion;
    uint64_t free[XSK_TX]; /* chunks to send, of which there are `frees` */
    unsigned frees;
};

void xsk_open(struct xsk *x, unsigned interface);

/* The oldest packets, up to XSK_BATCH; then they are taken out of RX, and their chunks given back. */
unsigned xsk_peek(struct xsk *x, struct xdp_desc *d);
void xsk_release(struct xsk *x, unsigned n);
void xsk_refill(struct xsk *x, const struct xdp_desc *d, unsigned n);
/* Waits until there are packets. FALSE: not within STOP_CHECK_MS. */
bool xsk_wait(const struct xsk *x);

/* Takes back what has been sent: chunks to receive into go to FILL, others are free. */
void xsk_reap(struct xsk *x);

/* Puts n descriptors into TX. FALSE: there is no room for all. */
bool xsk_submit(struct xsk *x, const struct xdp_desc *d, unsigned n);
/* Lets the kernel send; it may leave some for the next time. */
void xsk_kick(const struct xsk *x);

/* The room for one packet in a free chunk, with a request for a checksum of UDP over IPv4 before it. */
uint8_t *xsk_frame(struct xsk *x, struct xdp_desc *d, unsigned length);

#endif
