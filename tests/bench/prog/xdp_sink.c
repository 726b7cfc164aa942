/* SPDX-License-Identifier: MIT */
/* xdp_sink.c - swallows in the driver, as cheaply as can be. */
#include <poll.h>
#include <stddef.h>

#include "worker.h"
#include "xdp.h"
#include "xdp_program.h"

/* No packet wakes anybody: how far apart the looks are. */
enum { LOOK_MS = 1 };

void xdp_swallow(const struct options *o)
{
    struct xdp_sink s;
    struct meter m;
    xdp_sink_open(&s, o->interface);
    meter_init(&m, o);
    report_ready(9);
    do {
        struct xdp_swallowed got = xdp_sink_read(&s);
        m.now.datagrams = got.by_xdp + got.by_kernel;
        m.now.by_kernel = got.by_kernel;
        poll(NULL, 0, LOOK_MS);
    } while (meter_goes_on(&m));
    report_result(&m, NULL);
}
