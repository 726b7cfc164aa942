/* SPDX-License-Identifier: MIT */
/* ours_receive.c - a receiver that looks at every datagram and returns it at once. */
#include "ours.h"
#include "worker.h"

struct receiver {
    struct meter meter;
    uint8_t seen; /* so that the first byte of each has to be fetched */
};

static void look(CXPLAT_SOCKET *socket, void *context, CXPLAT_RECV_DATA *chain)
{
    struct receiver *r = context;
    (void)socket;
    for (const CXPLAT_RECV_DATA *d = chain; d != NULL; d = d->Next) {
        r->meter.now.datagrams++;
        r->meter.now.bytes += d->BufferLength;
        r->seen ^= d->Buffer[0];
    }
    CxPlatRecvDataReturn(chain);
}

void ours_receive(const struct options *o)
{
    struct receiver r = {.seen = 0};
    struct ours d;
    ours_open(&d, o, false, look, &r);
    meter_init(&r.meter, o);
    r.meter.refresh = ours_refresh;
    report_ready(ours_port(&d));
    while (meter_goes_on(&r.meter)) {
        ours_poll(&d, STOP_CHECK_MS);
    }
    report_result(&r.meter, NULL);
    ours_close(&d);
}
