/* SPDX-License-Identifier: MIT */
/* inlet.c - reads connection IDs, and sorts datagrams by them. */
#include "inlet.h"

#include "server.h"
#include "stateless.h"

/* A datagram whose connection IDs have been read. */
struct arrival {
    CXPLAT_RECV_DATA *data;
    ngtcp2_version_cid ids;
    ngtcp2_cid dcid;
    bool is_long;
};

/* Of a long header of QUIC version 1. */
static bool is_handshake(const struct arrival *a)
{
    return (a->data->Buffer[0] & 0x30) == 0x20;
}

/* ---- reading ---- */

static bool count(struct partition *p, enum count which)
{
    count_add(&p->counts, which, 1);
    return false;
}

/* FALSE when the datagram ends here. */
static bool read_arrival(struct partition *p, CXPLAT_RECV_DATA *data, struct arrival *a)
{
    ngtcp2_version_cid *ids = &a->ids;
    int error = ngtcp2_pkt_decode_version_cid(ids, data->Buffer, data->BufferLength, CID_LENGTH);
    a->data = data;
    a->is_long = (data->Buffer[0] & 0x80) != 0;
    if ((error != 0 && error != NGTCP2_ERR_VERSION_NEGOTIATION) ||
        (a->is_long && ids->version == 0)) {
        return count(p, COUNT_STRAYS);
    }
    if (!cid_is_ours(
            &p->server->options->cids, a->is_long ? ids->scid : ids->dcid,
            a->is_long ? ids->scidlen : ids->dcidlen)) {
        return count(p, COUNT_MISROUTED);
    }
    if (a->is_long && ids->version != NGTCP2_PROTO_VER_V1) {
        stateless_negotiate(p, data, ids);
        return false;
    }
    ngtcp2_cid_init(&a->dcid, ids->dcid, ids->dcidlen);
    return true;
}

/* ---- sorting ---- */

static struct partition *owner(struct partition *p, const struct arrival *a)
{
    if (a->is_long && !is_handshake(a)) {
        struct partition *named = &p->server->partitions[a->data->PartitionIndex];
        return owners_claim(&p->server->owners, &a->dcid, named);
    }
    uint16_t index = a->dcid.datalen == CID_LENGTH ? cid_partition(a->dcid.data) : p->index;
    return index < p->server->options->workers ? &p->server->partitions[index] : p;
}

/* The datagram begins a connection, or the claim that it made is taken back. */
static struct conn *accept_connection(struct partition *p, const struct arrival *a, uint64_t now)
{
    ngtcp2_pkt_hd initial;
    struct conn *c = NULL;
    if (ngtcp2_accept(&initial, a->data->Buffer, a->data->BufferLength) == 0) {
        c = conn_new(p, &initial, a->data->Route, now);
    }
    if (c == NULL) {
        owners_release(&p->server->owners, &a->dcid);
        return NULL;
    }
    c->next = p->conns;
    p->conns = c;
    return c;
}

static void deliver(struct partition *p, const struct arrival *a, uint64_t now)
{
    struct conn *c = table_find(&p->table, a->dcid.data, a->dcid.datalen);
    if (c == NULL && a->is_long && !is_handshake(a)) {
        c = accept_connection(p, a, now);
    }
    if (c != NULL) {
        conn_read(c, a->data, now);
        partition_mark_pending(p, c);
        return;
    }
    count(p, COUNT_STRAYS);
    if (!a->is_long) {
        stateless_reset(p, a->data, &a->dcid);
    }
}

/* A chain that is being sorted. */
struct sorting {
    struct partition *p;
    uint64_t now;
    struct chain done;     /* what goes back to the datapath */
    struct chain transfer; /* what goes to one other worker, `to` */
    struct partition *to;
};

/* What cannot be handed over, since that worker has ended, is done with. */
static void hand_over(struct sorting *s)
{
    if (s->to != NULL) {
        partition_give(s->to, &s->transfer);
        chain_join(&s->done, &s->transfer);
    }
}

static void sort(struct sorting *s, CXPLAT_RECV_DATA *data)
{
    struct arrival a;
    struct partition *to = read_arrival(s->p, data, &a) ? owner(s->p, &a) : NULL;
    if (to == s->p) {
        deliver(s->p, &a, s->now);
    }
    if (to == s->p || to == NULL) {
        chain_add(&s->done, data);
        return;
    }
    if (to != s->to) {
        hand_over(s);
        s->to = to;
    }
    count(s->p, COUNT_HANDED_OVER);
    chain_add(&s->transfer, data);
}

void inlet_take(struct partition *p, CXPLAT_RECV_DATA *chain, uint64_t now)
{
    struct sorting s = {.p = p, .now = now};
    chain_init(&s.done);
    chain_init(&s.transfer);
    while (chain != NULL) {
        CXPLAT_RECV_DATA *data = chain;
        chain = data->Next;
        sort(&s, data);
    }
    hand_over(&s);
    CxPlatRecvDataReturn(chain_take(&s.done));
}
