/* SPDX-License-Identifier: MIT */
/* table.c - a hash table with chains. */
#include "table.h"

#include <stdlib.h>
#include <string.h>

struct table_entry {
    struct table_entry *next;
    void *value;
    ngtcp2_cid cid;
};

static struct table_entry **bucket(struct table *t, const uint8_t *cid, size_t length)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ cid[i]) * 16777619u;
    }
    return &t->buckets[(hash ^ hash >> 16) % TABLE_BUCKETS];
}

/* The link that points to the entry, or to NULL at the end of the bucket. */
static struct table_entry **find(struct table *t, const uint8_t *cid, size_t length)
{
    struct table_entry **link = bucket(t, cid, length);
    while (*link != NULL) {
        const ngtcp2_cid *at = &(*link)->cid;
        if (at->datalen == length && memcmp(at->data, cid, length) == 0) {
            break;
        }
        link = &(*link)->next;
    }
    return link;
}

bool table_add(struct table *t, const ngtcp2_cid *cid, void *value)
{
    struct table_entry **link = find(t, cid->data, cid->datalen);
    struct table_entry *entry = *link == NULL ? malloc(sizeof(*entry)) : NULL;
    if (entry == NULL) {
        return false;
    }
    *entry = (struct table_entry){.value = value, .cid = *cid};
    *link = entry;
    return true;
}

void *table_find(struct table *t, const uint8_t *cid, size_t length)
{
    struct table_entry *entry = *find(t, cid, length);
    return entry == NULL ? NULL : entry->value;
}

static void unlink_entry(struct table_entry **link)
{
    struct table_entry *entry = *link;
    *link = entry->next;
    free(entry);
}

void table_remove(struct table *t, const ngtcp2_cid *cid)
{
    struct table_entry **link = find(t, cid->data, cid->datalen);
    if (*link != NULL) {
        unlink_entry(link);
    }
}

void table_remove_value(struct table *t, const void *value)
{
    for (int i = 0; i < TABLE_BUCKETS; i++) {
        for (struct table_entry **link = &t->buckets[i]; *link != NULL;) {
            if ((*link)->value == value) {
                unlink_entry(link);
            } else {
                link = &(*link)->next;
            }
        }
    }
}
