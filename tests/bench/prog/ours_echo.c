/* SPDX-License-Identifier: MIT */
/* ours_echo.c - sends back what comes, up to `batch` datagrams in one send. */
#include "ours.h"
#include "ours_batch.h"
#include "worker.h"

struct echo {
    struct meter meter;
    unsigned batch;
};

/* One send for the first datagrams of the chain, all from one peer; returns those behind them. */
static CXPLAT_RECV_DATA *answer(struct echo *e, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *first)
{
    CXPLAT_RECV_DATA *d = first;
    CXPLAT_SEND_DATA *send = batch_open(socket, first->Route, first->BufferLength);
    for (unsigned n = 0; n < e->batch && d != NULL && !CxPlatSendDataIsFull(send); n++) {
        if (d->BufferLength != first->BufferLength) {
            break; /* the peer sends one size; what is left over of another goes by itself */
        }
        batch_add(send, d->Buffer, d->BufferLength);
        e->meter.now.datagrams++;
        e->meter.now.bytes += d->BufferLength;
        e->meter.now.by_kernel += d->DatapathType != CXPLAT_DATAPATH_TYPE_RAW;
        d = d->Next;
    }
    CxPlatSocketSend(socket, first->Route, send);
    return d;
}

static void echo(CXPLAT_SOCKET *socket, void *context, CXPLAT_RECV_DATA *chain)
{
    for (CXPLAT_RECV_DATA *d = chain; d != NULL;) {
        d = answer(context, socket, d);
    }
    CxPlatRecvDataReturn(chain);
}

void ours_echo(const struct options *o)
{
    struct echo e = {.batch = o->batch};
    struct ours d;
    ours_open(&d, o, false, echo, &e);
    meter_init(&e.meter, o);
    e.meter.refresh = ours_refresh;
    report_ready(ours_port(&d));
    while (meter_goes_on(&e.meter)) {
        ours_poll(&d, STOP_CHECK_MS);
    }
    report_result(&e.meter, NULL);
    ours_close(&d);
}
