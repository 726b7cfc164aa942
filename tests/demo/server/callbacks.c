/* SPDX-License-Identifier: MIT */
/* callbacks.c - randomness, connection IDs and streams; the rest is ngtcp2's crypto library's. */
#include "callbacks.h"

#include <gnutls/crypto.h>

#include "conn.h"
#include "partition.h"
#include "server.h"

static int status(bool success)
{
    return success ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static void rand_bytes(uint8_t *dest, size_t length, const ngtcp2_rand_ctx *context)
{
    (void)context;
    gnutls_rnd(GNUTLS_RND_NONCE, dest, length);
}

/* ---- connection IDs ---- */

static int new_connection_id(
    ngtcp2_conn *quic, ngtcp2_cid *cid, uint8_t *token, size_t length, void *user)
{
    struct conn *c = user;
    const struct cid_scheme *cids = &c->home->server->options->cids;
    (void)quic;
    return status(
        length == CID_LENGTH && cid_make(cids, c->home->index, cid) &&
        cid_reset_token(cids, cid, token) && table_add(&c->home->table, cid, c));
}

static int remove_connection_id(ngtcp2_conn *quic, const ngtcp2_cid *cid, void *user)
{
    struct conn *c = user;
    (void)quic;
    table_remove(&c->home->table, cid);
    return 0;
}

/* ---- streams ---- */

static int handshake_completed(ngtcp2_conn *quic, void *user)
{
    struct conn *c = user;
    (void)quic;
    count_add(&c->home->counts, COUNT_HANDSHAKES, 1);
    return 0;
}

static int stream_open(ngtcp2_conn *quic, int64_t id, void *user)
{
    struct conn *c = user;
    struct stream *s = stream_new(id);
    if (s == NULL) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    s->next = c->streams;
    c->streams = s;
    return status(ngtcp2_conn_set_stream_user_data(quic, id, s) == 0);
}

static void count_received(struct conn *c, const struct stream *s, uint64_t before)
{
    uint64_t from = before < REQUEST_LENGTH ? REQUEST_LENGTH : before;
    if (s->received > from) {
        count_add(&c->home->counts, COUNT_BYTES, (int64_t)(s->received - from));
    }
}

static int recv_stream_data(
    ngtcp2_conn *quic,
    uint32_t flags,
    int64_t id,
    uint64_t offset,
    const uint8_t *data,
    size_t length,
    void *user,
    void *stream_user)
{
    struct conn *c = user;
    struct stream *s = stream_user;
    (void)offset;
    ngtcp2_conn_extend_max_stream_offset(quic, id, length);
    ngtcp2_conn_extend_max_offset(quic, length);
    if (s == NULL) {
        return 0;
    }
    uint64_t before = s->received;
    if (!stream_receive(s, c, data, length, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0)) {
        count_add(&c->home->counts, COUNT_MISMATCHES, 1);
        s->finished = true;
        return status(compat_shutdown_stream(quic, id, STREAM_WRONG) == 0);
    }
    count_received(c, s, before);
    c->wants_key_update |=
        before < REQUEST_LENGTH && s->received >= REQUEST_LENGTH && (s->flags & REQUEST_KEY_UPDATE);
    return 0;
}

static int stream_close(
    ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t code, void *user, void *stream_user)
{
    struct conn *c = user;
    struct stream *s = stream_user;
    (void)flags;
    (void)code;
    ngtcp2_conn_extend_max_streams_bidi(quic, 1);
    for (struct stream **link = &c->streams; *link != NULL; link = &(*link)->next) {
        if (*link == s) {
            *link = s->next;
            count_add(&c->home->counts, COUNT_STREAMS, s->complete && s->finished);
            stream_free(s);
            break;
        }
    }
    (void)id;
    return 0;
}

const ngtcp2_callbacks conn_callbacks = {
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .handshake_completed = handshake_completed,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_stream_data = recv_stream_data,
    .stream_open = stream_open,
    .stream_close = stream_close,
    .rand = rand_bytes,
    .get_new_connection_id = new_connection_id,
    .remove_connection_id = remove_connection_id,
    .update_key = ngtcp2_crypto_update_key_cb,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};
