/* SPDX-License-Identifier: MIT */
/*
 * pattern.h - the bytes that streams carry.
 *
 * Byte i of a stream with a seed is byte (seed + i) % PATTERN_PERIOD of one table. The period is a
 * prime, so that a packet which is lost, doubled or put in another's place shows, and what is sent
 * can be read from the table for as long as it is not acknowledged, without a copy of it.
 */
#ifndef DEMO_PATTERN_H
#define DEMO_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PATTERN_PERIOD = 65521, PATTERN_PIECE = 16384 };

/* Before the first use. */
void pattern_init(void);

/* Where byte `offset` of a stream lies, with at least PATTERN_PIECE bytes behind it. */
const uint8_t *pattern_at(uint32_t seed, uint64_t offset);

/* Whether data is the stream's from `offset` on. */
bool pattern_matches(uint32_t seed, uint64_t offset, const uint8_t *data, size_t length);

#endif
