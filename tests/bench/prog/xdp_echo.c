/* SPDX-License-Identifier: MIT */
/* xdp_echo.c - turns packets around where they are. */
#include <stddef.h>

#include "worker.h"
#include "xdp.h"
#include "xdp_frame.h"
#include "xdp_program.h"
#include "xsk.h"

static void send_back(struct xsk *x, struct meter *m, struct xdp_desc *d, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        xdp_frame_swap(x->umem + d[i].addr);
        m->now.bytes += d[i].len - XDP_HEADERS;
    }
    m->now.datagrams += n;
    while (!xsk_submit(x, d, n) && !stop_wanted()) {
        m->now.tx_calls++;
        xsk_kick(x);
        xsk_reap(x);
    }
    m->now.tx_calls++;
    xsk_kick(x);
    xsk_reap(x);
}

void xdp_echo(const struct options *o)
{
    struct xsk x;
    struct xdp_desc d[XSK_BATCH];
    struct meter m;
    xsk_open(&x, o->interface);
    xdp_redirect(o->interface, XDP_PORT, x.fd);
    meter_init(&m, o);
    report_ready(XDP_PORT);
    while (meter_goes_on(&m)) {
        unsigned n = xsk_peek(&x, d);
        if (n == 0) {
            m.now.rx_calls++;
            xsk_kick(&x); /* what the kernel has left of the last time */
            xsk_reap(&x);
            xsk_wait(&x);
            continue;
        }
        xsk_release(&x, n);
        send_back(&x, &m, d, n);
    }
    report_result(&m, NULL);
}
