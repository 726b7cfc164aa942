/* SPDX-License-Identifier: MIT */
/* random.h - numbers that look random and follow from a seed. Each thread has its own. */
#ifndef HOST_RANDOM_H
#define HOST_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state; /* not 0 */
};

/* Of one seed, each stream differs. */
static inline struct random random_of(uint64_t seed, uint64_t stream)
{
    uint64_t x = seed + (stream + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (struct random){.state = (x ^ x >> 31) | 1};
}

static inline uint64_t random_next(struct random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * 0x2545f4914f6cdd1du;
}

/* From 0 to n - 1. */
static inline uint32_t random_below(struct random *r, uint32_t n)
{
    return (uint32_t)((random_next(r) >> 32) * n >> 32);
}

static inline bool random_one_in(struct random *r, uint32_t n)
{
    return random_below(r, n) == 0;
}

static inline void random_fill(struct random *r, void *to, size_t length)
{
    uint8_t *bytes = (uint8_t *)to;
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(random_next(r) >> 32);
    }
}

#endif
