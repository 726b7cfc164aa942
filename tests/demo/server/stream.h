/* SPDX-License-Identifier: MIT */
/*
 * stream.h - a stream of the demo: the client sends a request, the server checks it and answers.
 *
 *   request   "demo", flags (4), seed (4), length (8); then length bytes of the seed's pattern
 *   reply     "DEMO", name (12), pid (4), partition (4), length (8); then the same bytes again, as
 *             far as they have come in and were right; at the end the SHA-256 of what came in
 *
 * The name is that of options.h, padded with zeros; numbers are big-endian. A request that is wrong
 * in any byte has its stream reset.
 */
#ifndef DEMO_STREAM_H
#define DEMO_STREAM_H

#include <stdbool.h>

#include <gnutls/crypto.h>

#include "compat.h"

enum { REQUEST_LENGTH = 20, REPLY_LENGTH = 32, DIGEST_LENGTH = 32 };
enum { REQUEST_KEY_UPDATE = 1 }; /* flags: the server is to begin a key update */
enum { STREAM_WRONG = 1 };       /* the code of a reset */

struct conn;

struct stream {
    struct stream *next;
    int64_t id;
    uint8_t request[REQUEST_LENGTH];
    uint8_t reply[REPLY_LENGTH];
    uint8_t digest[DIGEST_LENGTH];
    uint32_t flags;
    uint32_t seed;
    uint64_t length;
    uint64_t received; /* of the request and what follows it */
    uint64_t sent;     /* of the reply and what follows it */
    gnutls_hash_hd_t hash;
    bool complete; /* all has come in, the digest is ready */
    bool finished; /* all is sent */
    bool blocked;  /* by flow control, until the next turn */
};

struct stream *stream_new(int64_t id);
void stream_free(struct stream *s);

/* Takes what came in. FALSE if it is wrong. */
bool stream_receive(
    struct stream *s, const struct conn *c, const uint8_t *data, size_t length, bool last);

enum { STREAM_PIECES = 3 };

/* What can be sent now, one after the other: how many pieces, and whether they end the stream. */
size_t stream_pieces(const struct stream *s, ngtcp2_vec pieces[STREAM_PIECES], bool *last);

/* Whether there is something to send. */
bool stream_wants(const struct stream *s);

/* The first n bytes of the pieces are under way, and perhaps the end of the stream. */
void stream_sent(struct stream *s, size_t n, bool last);

#endif
