/* SPDX-License-Identifier: MIT */
/* conn.c - the life of a connection. */
#include "conn.h"

#include <stdlib.h>
#include <string.h>

#include "callbacks.h"
#include "host/address.h"
#include "partition.h"
#include "server.h"
#include "transmit.h"

enum { MAX_STREAMS = 100 };

static const uint64_t connection_window = 16 << 20;
static const uint64_t stream_window = 4 << 20;
static const uint64_t idle_timeout = 30 * NGTCP2_SECONDS;

const char *conn_server_name(const struct conn *c)
{
    return c->home->server->options->name;
}

uint16_t conn_partition(const struct conn *c)
{
    return c->home->index;
}

/* ---- beginning and end ---- */

static ngtcp2_conn *quic_of_ref(ngtcp2_crypto_conn_ref *ref)
{
    return ((struct conn *)ref->user_data)->quic;
}

static void choose_settings(ngtcp2_settings *settings, struct conn *c, uint64_t now)
{
    CXPLAT_ROUTE *route = routes_latest(&c->routes);
    bool v4 = route->RemoteAddress.Ip.sa_family == AF_INET;
    unsigned headers = (v4 ? 20 : 40) + 8;
    ngtcp2_settings_default(settings);
    settings->initial_ts = now;
    settings->handshake_timeout = 10 * NGTCP2_SECONDS;
    settings->max_window = 2 * connection_window;
    settings->max_stream_window = 2 * stream_window;
    settings->max_tx_udp_payload_size =
        CxPlatSocketGetLocalMtu(c->home->server->socket, route) - headers;
}

static bool choose_params(
    ngtcp2_transport_params *params,
    const struct cid_scheme *cids,
    const ngtcp2_cid *original,
    const ngtcp2_cid *cid)
{
    ngtcp2_transport_params_default(params);
    params->initial_max_data = connection_window;
    params->initial_max_stream_data_bidi_remote = stream_window;
    params->initial_max_streams_bidi = MAX_STREAMS;
    params->max_idle_timeout = idle_timeout;
    params->active_connection_id_limit = 7;
    params->original_dcid = *original;
    compat_original_dcid_present(params);
    params->stateless_reset_token_present = 1;
    return cid_reset_token(cids, cid, params->stateless_reset_token);
}

/* The IDs by which the client reaches it in the handshake: one of its own choice, then ours. */
static bool take_ids(struct conn *c, const ngtcp2_cid *original, const ngtcp2_cid *cid)
{
    struct owners *owners = &c->home->server->owners;
    c->claims[0] = *original;
    c->claims[1] = *cid;
    return owners_claim(owners, original, c->home) == c->home &&
           owners_claim(owners, cid, c->home) == c->home &&
           table_add(&c->home->table, original, c) && table_add(&c->home->table, cid, c);
}

static bool make_quic(struct conn *c, const ngtcp2_pkt_hd *initial, uint64_t now)
{
    const struct cid_scheme *cids = &c->home->server->options->cids;
    ngtcp2_cid cid;
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_path path = routes_path(routes_latest(&c->routes));
    choose_settings(&settings, c, now);
    return cid_make(cids, c->home->index, &cid) && take_ids(c, &initial->dcid, &cid) &&
           choose_params(&params, cids, &initial->dcid, &cid) &&
           ngtcp2_conn_server_new(
               &c->quic, &initial->scid, &cid, &path, initial->version, &conn_callbacks, &settings,
               &params, NULL, c) == 0;
}

struct conn *conn_new(
    struct partition *home, const ngtcp2_pkt_hd *initial, CXPLAT_ROUTE *route, uint64_t now)
{
    struct conn *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return NULL;
    }
    c->home = home;
    c->peer = route->RemoteAddress;
    c->ref = (ngtcp2_crypto_conn_ref){quic_of_ref, c};
    count_add(&home->counts, COUNT_LIVE, 1);
    routes_remember(&c->routes, home->server->socket, route);
    c->tls = tls_session(&home->server->tls, &c->ref);
    if (c->tls == NULL || !make_quic(c, initial, now)) {
        conn_free(c);
        return NULL;
    }
    ngtcp2_conn_set_tls_native_handle(c->quic, c->tls);
    count_add(&home->counts, COUNT_CONNECTIONS, 1);
    return c;
}

void conn_free(struct conn *c)
{
    owners_release(&c->home->server->owners, &c->claims[0]);
    owners_release(&c->home->server->owners, &c->claims[1]);
    table_remove_value(&c->home->table, c);
    ngtcp2_conn_del(c->quic);
    while (c->streams != NULL) {
        struct stream *s = c->streams;
        c->streams = s->next;
        stream_free(s);
    }
    if (c->tls != NULL) {
        gnutls_deinit(c->tls);
    }
    count_add(&c->home->counts, COUNT_LIVE, -1);
    free(c);
}

/* Says nothing more, and is freed when `wait` is over. */
static void drain(struct conn *c, uint64_t wait, uint64_t now)
{
    c->state = CONN_DRAINING;
    c->expiry = now + wait;
}

static void send_close(struct conn *c)
{
    transmit_datagram(
        c->home->server->socket, routes_latest(&c->routes), c->close_packet, c->close_length);
}

void conn_close(struct conn *c, int error, uint64_t now)
{
    if (c->state != CONN_OPEN) {
        return;
    }
    uint8_t alert = error == NGTCP2_ERR_CRYPTO ? ngtcp2_conn_get_tls_alert(c->quic) : 0;
    uint64_t wait = 3 * ngtcp2_conn_get_pto(c->quic);
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_ssize n = compat_write_close(
        c->quic, &path.path, &info, c->close_packet, sizeof(c->close_packet), error, alert, now);
    drain(c, wait, now);
    if (n > 0) {
        c->state = CONN_CLOSING;
        c->close_length = (size_t)n;
        send_close(c);
    }
}

/* What a result of ngtcp2's means for the connection. */
static void settle(struct conn *c, int error, uint64_t now)
{
    switch (error) {
    case 0: break;
    case NGTCP2_ERR_DRAINING: drain(c, 3 * ngtcp2_conn_get_pto(c->quic), now); break;
    case NGTCP2_ERR_DROP_CONN:
    case NGTCP2_ERR_RETRY:
    case NGTCP2_ERR_IDLE_CLOSE:
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT: drain(c, 0, now); break;
    default: conn_close(c, error, now);
    }
}

/* ---- its turns ---- */

/* Says again why it is closed: to the 1st, 2nd, 4th, 8th ... datagram. */
static void answer_when_closing(struct conn *c)
{
    c->close_answers++;
    if ((c->close_answers & (c->close_answers - 1)) == 0) {
        send_close(c);
    }
}

static void notice_migration(struct conn *c)
{
    const ngtcp2_addr *remote = &ngtcp2_conn_get_path(c->quic)->remote;
    QUIC_ADDR peer = {0};
    memcpy(&peer, remote->addr, remote->addrlen);
    if (!addr_equal(&peer, &c->peer)) {
        c->peer = peer;
        count_add(&c->home->counts, COUNT_MIGRATIONS, 1);
    }
}

void conn_read(struct conn *c, const CXPLAT_RECV_DATA *data, uint64_t now)
{
    if (c->state == CONN_CLOSING) {
        answer_when_closing(c);
    }
    if (c->state != CONN_OPEN) {
        return;
    }
    routes_remember(&c->routes, c->home->server->socket, data->Route);
    ngtcp2_path path = routes_path(data->Route);
    ngtcp2_pkt_info info = {.ecn = data->TypeOfService & NGTCP2_ECN_MASK};
    settle(
        c, ngtcp2_conn_read_pkt(c->quic, &path, &info, data->Buffer, data->BufferLength, now), now);
    if (c->state == CONN_OPEN) {
        notice_migration(c);
    }
}

bool conn_expire(struct conn *c, uint64_t now)
{
    if (c->state != CONN_OPEN) {
        return false;
    }
    settle(c, ngtcp2_conn_handle_expiry(c->quic, now), now);
    return true;
}

static void begin_key_update(struct conn *c, uint64_t now)
{
    if (c->wants_key_update && ngtcp2_conn_get_handshake_completed(c->quic) &&
        ngtcp2_conn_initiate_key_update(c->quic, now) == 0) {
        c->wants_key_update = false; /* else the last one is too fresh: with the next packet */
        count_add(&c->home->counts, COUNT_KEY_UPDATES, 1);
    }
}

void conn_write(struct conn *c, uint64_t now)
{
    if (c->state != CONN_OPEN) {
        return;
    }
    begin_key_update(c, now);
    settle(c, transmit(c, now), now);
    if (c->state == CONN_OPEN) {
        ngtcp2_conn_update_pkt_tx_time(c->quic, now);
        c->expiry = ngtcp2_conn_get_expiry(c->quic);
    }
}
