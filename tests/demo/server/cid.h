/* SPDX-License-Identifier: MIT */
/*
 * cid.h - the connection IDs that the server hands out.
 *
 *     0          2                      16
 *     | partition | identifier | random |
 *
 * The first two bytes name the worker that owns the connection, so that a datagram which reaches
 * another worker (after a migration, say) finds its way. The identifier, if the server has one,
 * lies where MsQuic puts it: behind the server ID, of which there is none here, and two bytes.
 */
#ifndef DEMO_CID_H
#define DEMO_CID_H

#include <stdbool.h>

#include "compat.h"

enum { CID_LENGTH = 16, CID_IDENTIFIER_OFFSET = 2, CID_SECRET = 32 };

struct cid_scheme {
    uint8_t identifier[6];
    uint8_t identifier_length; /* 0: none */
    uint8_t secret[CID_SECRET];
};

/* FALSE when there is no randomness to be had, here and in cid_reset_token. */
bool cid_make(const struct cid_scheme *scheme, uint16_t partition, ngtcp2_cid *cid);

/* Of a connection ID of CID_LENGTH bytes. */
uint16_t cid_partition(const uint8_t *cid);

/* Whether the ID carries our identifier, or we have none. */
bool cid_is_ours(const struct cid_scheme *scheme, const uint8_t *cid, size_t length);

bool cid_reset_token(
    const struct cid_scheme *scheme,
    const ngtcp2_cid *cid,
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN]);

#endif
