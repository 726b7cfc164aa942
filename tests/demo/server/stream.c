/* SPDX-License-Identifier: MIT */
/* stream.c - checks requests, and answers them without a copy: all that is sent is the pattern. */
#include "stream.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conn.h"
#include "pattern.h"

/* A stream of more is a mistake. */
static const uint64_t max_length = (uint64_t)1 << 40;

struct stream *stream_new(int64_t id)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (s == NULL || gnutls_hash_init(&s->hash, GNUTLS_DIG_SHA256) != 0) {
        free(s);
        return NULL;
    }
    s->id = id;
    return s;
}

void stream_free(struct stream *s)
{
    gnutls_hash_deinit(s->hash, NULL);
    free(s);
}

/* ---- numbers ---- */

static uint64_t get(const uint8_t *bytes, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static void put(uint8_t *bytes, size_t n, uint64_t value)
{
    for (size_t i = n; i > 0; i--, value >>= 8) {
        bytes[i - 1] = (uint8_t)value;
    }
}

/* ---- in ---- */

static void begin_reply(struct stream *s, const struct conn *c)
{
    const char *name = conn_server_name(c);
    memcpy(s->reply, "DEMO", 4);
    memcpy(s->reply + 4, name, strlen(name));
    put(s->reply + 16, 4, (uint64_t)getpid());
    put(s->reply + 20, 4, conn_partition(c));
    put(s->reply + 24, 8, s->length);
}

static bool read_request(struct stream *s, const struct conn *c)
{
    s->flags = (uint32_t)get(s->request + 4, 4);
    s->seed = (uint32_t)get(s->request + 8, 4);
    s->length = get(s->request + 12, 8);
    begin_reply(s, c);
    return memcmp(s->request, "demo", 4) == 0 && s->length <= max_length;
}

/* How many of the bytes belong to the request; sets *wrong if it is no good. */
static size_t take_request(
    struct stream *s, const struct conn *c, const uint8_t *data, size_t length, bool *wrong)
{
    if (s->received >= REQUEST_LENGTH) {
        return 0;
    }
    size_t missing = REQUEST_LENGTH - (size_t)s->received;
    size_t n = length < missing ? length : missing;
    memcpy(s->request + s->received, data, n);
    s->received += n;
    *wrong = s->received == REQUEST_LENGTH && !read_request(s, c);
    return n;
}

static bool take_payload(struct stream *s, const uint8_t *data, size_t length)
{
    uint64_t offset = s->received - REQUEST_LENGTH;
    if (length > s->length - offset || !pattern_matches(s->seed, offset, data, length)) {
        return false;
    }
    s->received += length;
    return gnutls_hash(s->hash, data, length) == 0;
}

bool stream_receive(
    struct stream *s, const struct conn *c, const uint8_t *data, size_t length, bool last)
{
    bool wrong = false;
    size_t n = take_request(s, c, data, length, &wrong);
    if (wrong || (n < length && !take_payload(s, data + n, length - n))) {
        return false;
    }
    if (last) {
        s->complete = s->received >= REQUEST_LENGTH && s->received == REQUEST_LENGTH + s->length;
        gnutls_hash_output(s->hash, s->digest);
    }
    return !last || s->complete;
}

/* ---- out ---- */

static uint64_t available(const struct stream *s)
{
    if (s->received < REQUEST_LENGTH) {
        return 0;
    }
    uint64_t echo = s->received - REQUEST_LENGTH;
    return REPLY_LENGTH + echo + (s->complete ? DIGEST_LENGTH : 0);
}

bool stream_wants(const struct stream *s)
{
    return !s->finished && !s->blocked && s->sent < available(s);
}

size_t stream_pieces(const struct stream *s, ngtcp2_vec pieces[STREAM_PIECES], bool *last)
{
    uint64_t at = s->sent;
    uint64_t echo_end = s->received - REQUEST_LENGTH + REPLY_LENGTH;
    size_t n = 0;
    if (at < REPLY_LENGTH) {
        pieces[n++] = (ngtcp2_vec){(uint8_t *)s->reply + at, REPLY_LENGTH - (size_t)at};
        at = REPLY_LENGTH;
    }
    if (at < echo_end) {
        uint64_t left = echo_end - at;
        size_t piece = left < PATTERN_PIECE ? (size_t)left : PATTERN_PIECE;
        const uint8_t *bytes = pattern_at(s->seed, at - REPLY_LENGTH);
        pieces[n++] = (ngtcp2_vec){(uint8_t *)bytes, piece};
        at += piece;
    }
    if (s->complete && at >= echo_end) {
        size_t done = (size_t)(at - echo_end);
        pieces[n++] = (ngtcp2_vec){(uint8_t *)s->digest + done, DIGEST_LENGTH - done};
        at = echo_end + DIGEST_LENGTH;
    }
    *last = s->complete && at == echo_end + DIGEST_LENGTH;
    return n;
}

void stream_sent(struct stream *s, size_t n, bool last)
{
    s->sent += n;
    s->finished = last && s->sent == available(s);
}
