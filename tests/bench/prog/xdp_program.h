/* SPDX-License-Identifier: MIT */
/*
 * xdp_program.h - the least XDP programs with which the plain loops work, by bpf(2) alone.
 *
 * They run in the driver, look at IPv4 without options only, and are gone with the process.
 */
#ifndef BENCH_XDP_PROGRAM_H
#define BENCH_XDP_PROGRAM_H

#include <stdint.h>

/* UDP to one port goes to a socket, all else to the kernel. */
void xdp_redirect(unsigned interface, uint16_t port, int xsk);

/* UDP is counted and dropped; all else goes to the kernel. */
struct xdp_sink {
    int map;
    int processors;
};
void xdp_sink_open(struct xdp_sink *s, unsigned interface);

/* What has come: with the hop limit of AF_XDP senders here, and with the kernel's. */
struct xdp_swallowed {
    uint64_t by_xdp, by_kernel;
};
struct xdp_swallowed xdp_sink_read(const struct xdp_sink *s);

#endif
