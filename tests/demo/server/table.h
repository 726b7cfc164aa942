/* SPDX-License-Identifier: MIT */
/* table.h - a map from connection IDs to what they stand for. No lock of its own. */
#ifndef DEMO_TABLE_H
#define DEMO_TABLE_H

#include <stdbool.h>

#include "compat.h"

struct table_entry;

enum { TABLE_BUCKETS = 1024 };

/* All zero is an empty one. */
struct table {
    struct table_entry *buckets[TABLE_BUCKETS];
};

/* FALSE: out of memory, or the ID is in the table. */
bool table_add(struct table *t, const ngtcp2_cid *cid, void *value);

/* NULL if there is none. */
void *table_find(struct table *t, const uint8_t *cid, size_t length);

void table_remove(struct table *t, const ngtcp2_cid *cid);

/* Removes every ID that stands for value. */
void table_remove_value(struct table *t, const void *value);

#endif
