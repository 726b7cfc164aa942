/* SPDX-License-Identifier: MIT */
/* ours_batch.h - filling a send, for the jobs that send. */
#ifndef BENCH_OURS_BATCH_H
#define BENCH_OURS_BATCH_H

#include "fail.h"
#include "msquicxdp/cxplat.h"

static inline CXPLAT_SEND_DATA *batch_open(
    CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route, uint16_t size)
{
    CXPLAT_SEND_CONFIG config = {.Route = route, .MaxPacketSize = size};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(socket, &config);
    if (send == NULL) {
        fail("CxPlatSendDataAlloc: no memory");
    }
    return send;
}

static inline void batch_add(CXPLAT_SEND_DATA *send, const uint8_t *payload, uint16_t size)
{
    QUIC_BUFFER *buffer = CxPlatSendDataAllocBuffer(send, size);
    if (buffer == NULL) {
        fail("CxPlatSendDataAllocBuffer: a batch of this size does not fit into a send");
    }
    memcpy(buffer->Buffer, payload, size);
}

#endif
