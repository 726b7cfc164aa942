/* SPDX-License-Identifier: MIT */
/* ours_send.c - a sender that writes every payload anew, and makes one send of each batch. */
#include "ours.h"
#include "ours_batch.h"

/* Batches between two looks at the event queue, where the archive waits when the kernel is full. */
enum { POLL_EVERY = 256 };

static void ignore(CXPLAT_SOCKET *socket, void *context, CXPLAT_RECV_DATA *chain)
{
    (void)socket, (void)context;
    CxPlatRecvDataReturn(chain);
}

static void send_batch(
    CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route, const struct options *o, const uint8_t *payload)
{
    CXPLAT_SEND_DATA *send = batch_open(socket, route, (uint16_t)o->size);
    for (unsigned i = 0; i < o->batch; i++) {
        batch_add(send, payload, (uint16_t)o->size);
    }
    CxPlatSocketSend(socket, route, send);
}

void ours_send(const struct options *o)
{
    static uint8_t payload[MAX_SIZE];
    struct meter m;
    struct ours d;
    ours_open(&d, o, true, ignore, NULL);
    CXPLAT_ROUTE route[MAX_DATAPATHS];
    for (unsigned i = 0; i < o->datapaths; i++) {
        route[i] = ours_route(&d, i);
    }
    meter_init(&m, o);
    m.refresh = ours_refresh;
    hold(o);
    for (unsigned n = 0; meter_goes_on(&m); n++) {
        unsigned i = n % o->datapaths;
        send_batch(d.socket[i], &route[i], o, payload);
        m.now.datagrams += o->batch;
        m.now.bytes += (uint64_t)o->batch * o->size;
        if (n % POLL_EVERY == 0) {
            ours_poll(&d, 0);
        }
    }
    report_result(&m, NULL);
    ours_close(&d);
}
