/* SPDX-License-Identifier: MIT */
/* transmit.c - fills sends. */
#include "transmit.h"

#include <string.h>

#include "partition.h"
#include "server.h"

struct packet {
    ngtcp2_path_storage way;
    ngtcp2_pkt_info info;
    size_t length;
};

struct transmission {
    struct conn *conn;
    uint64_t now;
    struct packet aside; /* with length 0: there is none */
    uint8_t bytes[MAX_UDP_PAYLOAD_LENGTH];
    size_t sent;
    bool drained; /* there are no more packets now */
    int error;    /* ngtcp2's */
};

/* ---- packets ---- */

static struct stream *next_stream(struct conn *c)
{
    struct stream *s = c->streams;
    while (s != NULL && !stream_wants(s)) {
        s = s->next;
    }
    return s;
}

/* Writes a packet with data of s, or without if s is NULL. Returns as ngtcp2 does. */
static ngtcp2_ssize write_packet(
    struct transmission *t, struct stream *s, uint8_t *dest, size_t size, struct packet *packet)
{
    ngtcp2_vec pieces[STREAM_PIECES];
    bool last = false;
    size_t count = s == NULL ? 0 : stream_pieces(s, pieces, &last);
    ngtcp2_ssize taken = -1;
    size_t offered = 0;
    for (size_t i = 0; i < count; i++) {
        offered += pieces[i].len;
    }
    ngtcp2_path_storage_zero(&packet->way);
    ngtcp2_ssize n = ngtcp2_conn_writev_stream(
        t->conn->quic, &packet->way.path, &packet->info, dest, size, &taken,
        last ? NGTCP2_WRITE_STREAM_FLAG_FIN : NGTCP2_WRITE_STREAM_FLAG_NONE, s == NULL ? -1 : s->id,
        pieces, count, t->now);
    if (n > 0 && taken >= 0) {
        stream_sent(s, (size_t)taken, last && (size_t)taken == offered);
    }
    return n;
}

/* Writes the next packet to dest. FALSE if there is none, or an error. */
static bool next_packet(struct transmission *t, uint8_t *dest, size_t size, struct packet *packet)
{
    for (;;) {
        struct stream *s = next_stream(t->conn);
        ngtcp2_ssize n = write_packet(t, s, dest, size, packet);
        if (n > 0) {
            packet->length = (size_t)n;
            t->sent += (size_t)n;
            return true;
        }
        if (s != NULL && n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
            s->blocked = true;
        } else if (
            s != NULL && (n == NGTCP2_ERR_STREAM_SHUT_WR || n == NGTCP2_ERR_STREAM_NOT_FOUND)) {
            s->finished = true;
        } else {
            t->drained = true;
            t->error = (int)n;
            return false;
        }
    }
}

/* ---- sends ---- */

static bool same_way(const struct packet *a, const struct packet *b)
{
    return a->info.ecn == b->info.ecn && ngtcp2_path_eq(&a->way.path, &b->way.path);
}

/* A send for packets like the first, with that one in it. NULL: it is lost. */
static CXPLAT_SEND_DATA *begin_send(
    struct transmission *t, const struct packet *first, CXPLAT_ROUTE *route, size_t segment)
{
    CXPLAT_SEND_CONFIG config = {
        .Route = route,
        .MaxPacketSize = (uint16_t)segment,
        .ECN = (uint8_t)first->info.ecn,
    };
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(t->conn->home->server->socket, &config);
    if (send == NULL) {
        return NULL;
    }
    QUIC_BUFFER *buffer = CxPlatSendDataAllocBuffer(send, (uint16_t)first->length);
    if (buffer == NULL) {
        CxPlatSendDataFree(send);
        return NULL;
    }
    memcpy(buffer->Buffer, t->bytes, first->length);
    return send;
}

/* FALSE when nothing more goes into this send. */
static bool add_packet(
    struct transmission *t, const struct packet *first, CXPLAT_SEND_DATA *send, size_t segment)
{
    QUIC_BUFFER *buffer = CxPlatSendDataAllocBuffer(send, (uint16_t)segment);
    if (buffer == NULL) {
        return false;
    }
    struct packet packet;
    if (!next_packet(t, buffer->Buffer, segment, &packet)) {
        CxPlatSendDataFreeBuffer(send, buffer);
        return false;
    }
    if (!same_way(first, &packet)) {
        memcpy(t->bytes, buffer->Buffer, packet.length);
        CxPlatSendDataFreeBuffer(send, buffer);
        t->aside = packet;
        return false;
    }
    buffer->Length = (uint32_t)packet.length;
    return true;
}

/* One send, which begins with the packet that lies aside. */
static void send_batch(struct transmission *t)
{
    struct conn *c = t->conn;
    struct packet first = t->aside;
    size_t usual = ngtcp2_conn_get_path_max_tx_udp_payload_size(c->quic);
    size_t segment = first.length > usual ? first.length : usual;
    t->aside.length = 0;
    CXPLAT_ROUTE *route = routes_find(&c->routes, &first.way.path);
    CXPLAT_SEND_DATA *send = route == NULL ? NULL : begin_send(t, &first, route, segment);
    if (send == NULL) {
        return;
    }
    while (add_packet(t, &first, send, segment)) {
    }
    CxPlatSocketSend(c->home->server->socket, route, send);
}

static void unblock_streams(struct conn *c)
{
    for (struct stream *s = c->streams; s != NULL; s = s->next) {
        s->blocked = false;
    }
}

int transmit(struct conn *c, uint64_t now)
{
    struct transmission t;
    t.conn = c;
    t.now = now;
    t.sent = 0;
    t.drained = false;
    t.error = 0;
    size_t quantum = ngtcp2_conn_get_send_quantum(c->quic);
    size_t most = ngtcp2_conn_get_max_tx_udp_payload_size(c->quic);
    unblock_streams(c);
    while (!t.drained && t.sent < quantum && next_packet(&t, t.bytes, most, &t.aside)) {
        do {
            send_batch(&t);
        } while (t.aside.length != 0);
    }
    return t.error;
}

void transmit_datagram(
    CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route, const uint8_t *bytes, size_t length)
{
    CXPLAT_SEND_CONFIG config = {.Route = route};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(socket, &config);
    if (send == NULL) {
        return;
    }
    QUIC_BUFFER *buffer = CxPlatSendDataAllocBuffer(send, (uint16_t)length);
    if (buffer == NULL) {
        CxPlatSendDataFree(send);
        return;
    }
    memcpy(buffer->Buffer, bytes, length);
    CxPlatSocketSend(socket, route, send);
}
