/* SPDX-License-Identifier: MIT */
/* pattern.c - the table. tests/demo/pattern.go makes the same one. */
#include "pattern.h"

#include <string.h>

static uint8_t table[PATTERN_PERIOD + PATTERN_PIECE];

void pattern_init(void)
{
    uint32_t x = 2463534242u; /* xorshift32 */
    for (size_t i = 0; i < PATTERN_PERIOD; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        table[i] = (uint8_t)(x >> 24);
    }
    memcpy(table + PATTERN_PERIOD, table, PATTERN_PIECE);
}

const uint8_t *pattern_at(uint32_t seed, uint64_t offset)
{
    return table + (seed + offset) % PATTERN_PERIOD;
}

bool pattern_matches(uint32_t seed, uint64_t offset, const uint8_t *data, size_t length)
{
    while (length > 0) {
        size_t piece = length < PATTERN_PIECE ? length : PATTERN_PIECE;
        if (memcmp(data, pattern_at(seed, offset), piece) != 0) {
            return false;
        }
        data += piece;
        offset += piece;
        length -= piece;
    }
    return true;
}
