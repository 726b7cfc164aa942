/* SPDX-License-Identifier: MIT */
/* cid.c - makes connection IDs and takes them apart. */
#include "cid.h"

#include <string.h>

#include <gnutls/crypto.h>

bool cid_make(const struct cid_scheme *scheme, uint16_t partition, ngtcp2_cid *cid)
{
    uint8_t bytes[CID_LENGTH];
    if (gnutls_rnd(GNUTLS_RND_NONCE, bytes, sizeof(bytes)) != 0) {
        return false;
    }
    bytes[0] = (uint8_t)(partition >> 8);
    bytes[1] = (uint8_t)partition;
    memcpy(bytes + CID_IDENTIFIER_OFFSET, scheme->identifier, scheme->identifier_length);
    ngtcp2_cid_init(cid, bytes, sizeof(bytes));
    return true;
}

uint16_t cid_partition(const uint8_t *cid)
{
    return (uint16_t)(cid[0] << 8 | cid[1]);
}

bool cid_is_ours(const struct cid_scheme *scheme, const uint8_t *cid, size_t length)
{
    size_t wanted = scheme->identifier_length;
    return wanted == 0 || (length >= CID_IDENTIFIER_OFFSET + wanted &&
                           memcmp(cid + CID_IDENTIFIER_OFFSET, scheme->identifier, wanted) == 0);
}

bool cid_reset_token(
    const struct cid_scheme *scheme,
    const ngtcp2_cid *cid,
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN])
{
    return ngtcp2_crypto_generate_stateless_reset_token(token, scheme->secret, CID_SECRET, cid) ==
           0;
}
