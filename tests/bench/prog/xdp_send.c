/* SPDX-License-Identifier: MIT */
/* xdp_send.c - writes every packet anew, and kicks the kernel for each batch. */
#include "fail.h"
#include "worker.h"
#include "xdp.h"
#include "xdp_frame.h"
#include "xsk.h"

void xdp_send(const struct options *o)
{
    struct xsk x;
    struct xdp_desc d[MAX_BATCH];
    struct xdp_frame f;
    struct meter m;
    unsigned turn = 0;
    xsk_open(&x, o->interface);
    xdp_frame_init(&f, o, XDP_PORT);
    meter_init(&m, o);
    hold(o);
    while (meter_goes_on(&m)) {
        xsk_reap(&x);
        if (x.frees >= o->batch) {
            for (unsigned i = 0; i < o->batch; i++) {
                xdp_frame_write(&f, xsk_frame(&x, &d[i], f.length), turn++ % o->members);
            }
            must(xsk_submit(&x, d, o->batch)); /* TX has an entry for each chunk */
            m.now.datagrams += o->batch;
            m.now.bytes += (uint64_t)o->batch * o->size;
        }
        m.now.tx_calls++;
        xsk_kick(&x);
    }
    report_result(&m, NULL);
}
