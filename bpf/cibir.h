/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * cibir.h - finds the CIBIR identifier of a QUIC datagram.
 *
 * The same source is compiled into every BPF program that tells datagrams apart by their identifier, and
 * into a program of the host by which the tests compare it with package cibir, the reference. It needs
 * nothing but the invariants of QUIC (RFC 8999): a long header has the identifier in its source connection
 * ID, a short header in its destination connection ID, whatever the version.
 *
 * Who includes it defines before how a packet is read:
 *
 *     CIBIR_LOAD(packet, offset, to, length)
 *
 * copies length bytes (1 to 20), which begin offset bytes into the UDP payload, to `to`. It evaluates to 0,
 * or to another number when they are not all within the packet.
 */
#ifndef MSQUICXDP_CIBIR_H
#define MSQUICXDP_CIBIR_H

#include <linux/types.h>

#ifndef CIBIR_LOAD
#error "define CIBIR_LOAD before including cibir.h"
#endif

/* Loops and calls cost instructions in the verifier, and old kernels allow no calls at all. */
#define CIBIR_INLINE static inline __attribute__((always_inline))

/*
 * The verifier must see the bounds of a length in the register from which it is used. The compiler, which
 * has seen them checked, would leave a second check out: this makes it forget what it knows of a variable.
 */
#define CIBIR_FORGET(variable) __asm__ volatile("" : "+r"(variable))

enum {
    CIBIR_MAX_ID = 20,
    CIBIR_MAX_CONNECTION_ID = 255,
    CIBIR_LONG_HEADER = 0x80,           /* in the first byte */
    CIBIR_DESTINATION_LENGTH_AT = 1 + 4 /* in a long header, behind first byte and version */
};

/* Where the identifier is, in bytes. */
struct cibir_encoding {
    __u8 length;
    __u8 source_offset;      /* in the source connection ID of a long header */
    __u8 destination_offset; /* in the destination connection ID of a short header */
};

/* Key of maps: all its bytes are defined, those beyond the length are zero. */
struct cibir_id {
    __u8 length;
    __u8 bytes[CIBIR_MAX_ID];
    __u8 pad[3];
} __attribute__((aligned(8)));

enum cibir_verdict {
    CIBIR_FOUND,
    CIBIR_TOO_SHORT,     /* the datagram ends within the header, or before the identifier does */
    CIBIR_NO_IDENTIFIER, /* the source connection ID ends before the identifier would */
};

CIBIR_INLINE int cibir_valid(const struct cibir_encoding *e)
{
    return e->length >= 1 && e->length <= CIBIR_MAX_ID &&
           e->source_offset + e->length <= CIBIR_MAX_CONNECTION_ID &&
           e->destination_offset + e->length <= CIBIR_MAX_CONNECTION_ID;
}

CIBIR_INLINE int cibir_same(const struct cibir_id *a, const struct cibir_id *b)
{
    typedef __u64 __attribute__((may_alias)) word;
    const word *x = (const word *)a, *y = (const word *)b;
    return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

/*
 * Finds where the source connection ID of a long header begins, and its length. `length` is that of the
 * UDP payload.
 */
CIBIR_INLINE enum cibir_verdict cibir_source(
    void *packet, __u32 length, __u32 *begin, __u8 *source_length)
{
    __u8 destination_length;
    __u32 at = CIBIR_DESTINATION_LENGTH_AT;

    if (CIBIR_LOAD(packet, at, &destination_length, 1))
        return CIBIR_TOO_SHORT;
    at += 1 + destination_length;
    if (CIBIR_LOAD(packet, at, source_length, 1))
        return CIBIR_TOO_SHORT;
    *begin = at + 1;
    return *begin + *source_length <= length ? CIBIR_FOUND : CIBIR_TOO_SHORT;
}

/*
 * Finds the identifier of a datagram whose UDP payload has `length` bytes. Writes *id whole, to zero where
 * there is none.
 */
CIBIR_INLINE enum cibir_verdict cibir_find(
    void *packet, __u32 length, const struct cibir_encoding *e, struct cibir_id *id)
{
    __u8 first, source_length;
    __u64 n = e->length; /* as wide as a register, which is what the verifier knows bounds of */
    __u32 at;

    __builtin_memset(id, 0, sizeof(*id));
    if (!cibir_valid(e))
        return CIBIR_NO_IDENTIFIER;
    if (CIBIR_LOAD(packet, 0, &first, 1))
        return CIBIR_TOO_SHORT;
    if (first & CIBIR_LONG_HEADER) {
        if (cibir_source(packet, length, &at, &source_length))
            return CIBIR_TOO_SHORT;
        if (source_length < e->source_offset + n)
            return CIBIR_NO_IDENTIFIER;
        at += e->source_offset;
    } else {
        at = 1 + e->destination_offset;
    }
    CIBIR_FORGET(n);
    if (n > CIBIR_MAX_ID)
        return CIBIR_NO_IDENTIFIER;
    CIBIR_FORGET(n); /* or it would make one comparison of the two, with another register */
    if (n < 1)
        return CIBIR_NO_IDENTIFIER;
    if (CIBIR_LOAD(packet, at, id->bytes, (__u32)n))
        return CIBIR_TOO_SHORT;
    id->length = (__u8)n;
    return CIBIR_FOUND;
}

#endif
