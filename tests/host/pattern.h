/* SPDX-License-Identifier: MIT */
/* pattern.h - payloads whose every byte follows from a number, so that any mix-up shows. */
#ifndef HOST_PATTERN_H
#define HOST_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint8_t pattern_byte(uint32_t seed, size_t i)
{
    uint32_t x = (seed + 1) * 2654435761u + (uint32_t)i;
    x = (x ^ x >> 15) * 2246822519u;
    return (uint8_t)(x >> 24);
}

static inline void pattern_fill(void *buffer, size_t length, uint32_t seed)
{
    uint8_t *bytes = buffer;
    for (size_t i = 0; i < length; i++) {
        bytes[i] = pattern_byte(seed, i);
    }
}

static inline bool pattern_holds(const void *buffer, size_t length, uint32_t seed)
{
    const uint8_t *bytes = buffer;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != pattern_byte(seed, i)) {
            return false;
        }
    }
    return true;
}

#endif
