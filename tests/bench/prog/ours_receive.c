/* SPDX-License-Identifier: MIT */
/* ours_receive.c - a receiver that looks at every datagram and returns it at once. */
#include <time.h>

#include "ours.h"
#include "worker.h"

struct receiver {
    struct meter meter;
    uint8_t seen; /* so that the first byte of each has to be fetched */
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void look(CXPLAT_SOCKET *socket, void *context, CXPLAT_RECV_DATA *chain)
{
    struct receiver *r = context;
    uint64_t start = r->meter.options->count ? now_ns() : 0;
    (void)socket;
    for (const CXPLAT_RECV_DATA *d = chain; d != NULL; d = d->Next) {
        r->meter.now.datagrams++;
        r->meter.now.bytes += d->BufferLength;
        r->meter.now.by_kernel += d->DatapathType != CXPLAT_DATAPATH_TYPE_RAW;
        r->seen ^= d->Buffer[0];
    }
    CxPlatRecvDataReturn(chain);
    r->meter.now.callback_ns += start != 0 ? now_ns() - start : 0;
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
