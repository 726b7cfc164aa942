/* SPDX-License-Identifier: MIT */
/* stateless.c - version negotiation and stateless reset. */
#include "stateless.h"

#include <gnutls/crypto.h>

#include "partition.h"
#include "server.h"
#include "transmit.h"

/* RFC 9000: what is shorter gets no answer, so that nobody is used to flood others. */
enum { MIN_FIRST_DATAGRAM = 1200 };

/* Long enough to look like any packet; below the least there is no room for the token. */
enum { RESET_LENGTH = 43, MIN_RESET_LENGTH = 21 };

void stateless_negotiate(
    struct partition *p, const CXPLAT_RECV_DATA *data, const ngtcp2_version_cid *ids)
{
    static const uint32_t versions[] = {0x1a2a3a4a, NGTCP2_PROTO_VER_V1}; /* one to be ignored */
    uint8_t packet[MIN_FIRST_DATAGRAM];
    uint8_t noise = 0;
    if (data->BufferLength < MIN_FIRST_DATAGRAM) {
        return;
    }
    gnutls_rnd(GNUTLS_RND_NONCE, &noise, sizeof(noise));
    ngtcp2_ssize n = ngtcp2_pkt_write_version_negotiation(
        packet, sizeof(packet), noise, ids->scid, ids->scidlen, ids->dcid, ids->dcidlen, versions,
        sizeof(versions) / sizeof(versions[0]));
    if (n > 0) {
        count_add(&p->counts, COUNT_NEGOTIATIONS, 1);
        transmit_datagram(p->server->socket, data->Route, packet, (size_t)n);
    }
}

void stateless_reset(struct partition *p, const CXPLAT_RECV_DATA *data, const ngtcp2_cid *cid)
{
    uint8_t packet[RESET_LENGTH];
    uint8_t noise[RESET_LENGTH];
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
    /* Always shorter than what it answers, else two servers could go on for ever. */
    size_t length = data->BufferLength > RESET_LENGTH ? RESET_LENGTH : data->BufferLength - 1u;
    if (length < MIN_RESET_LENGTH || !cid_reset_token(&p->server->options->cids, cid, token) ||
        gnutls_rnd(GNUTLS_RND_NONCE, noise, sizeof(noise)) != 0) {
        return;
    }
    ngtcp2_ssize n = ngtcp2_pkt_write_stateless_reset(
        packet, length, token, noise, length - NGTCP2_STATELESS_RESET_TOKENLEN);
    if (n > 0) {
        count_add(&p->counts, COUNT_RESETS, 1);
        transmit_datagram(p->server->socket, data->Route, packet, (size_t)n);
    }
}
