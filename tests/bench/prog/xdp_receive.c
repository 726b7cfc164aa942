/* SPDX-License-Identifier: MIT */
/* xdp_receive.c - looks at every packet, and gives its chunk back. */
#include <stddef.h>

#include "worker.h"
#include "xdp.h"
#include "xdp_frame.h"
#include "xdp_program.h"
#include "xsk.h"

void xdp_receive(const struct options *o)
{
    struct xsk x;
    struct xdp_desc d[XSK_BATCH];
    struct meter m;
    volatile uint8_t seen = 0; /* so that the first byte of each has to be fetched */
    xsk_open(&x, o->interface);
    xdp_redirect(o->interface, XDP_PORT, x.fd);
    meter_init(&m, o);
    report_ready(XDP_PORT);
    while (meter_goes_on(&m)) {
        unsigned n = xsk_peek(&x, d);
        if (n == 0) {
            m.now.rx_calls++;
            xsk_wait(&x);
            continue;
        }
        for (unsigned i = 0; i < n; i++) {
            m.now.bytes += d[i].len - XDP_HEADERS;
            seen ^= x.umem[d[i].addr + XDP_HEADERS];
        }
        m.now.datagrams += n;
        xsk_refill(&x, d, n);
        xsk_release(&x, n);
    }
    report_result(&m, NULL);
}
