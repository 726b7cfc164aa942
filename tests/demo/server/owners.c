/* SPDX-License-Identifier: MIT */
/* owners.c - a table under a lock. */
#include "owners.h"

void owners_init(struct owners *o)
{
    pthread_mutex_init(&o->lock, NULL);
}

void owners_destroy(struct owners *o)
{
    pthread_mutex_destroy(&o->lock);
}

struct partition *owners_claim(struct owners *o, const ngtcp2_cid *cid, struct partition *p)
{
    pthread_mutex_lock(&o->lock);
    struct partition *owner = table_find(&o->table, cid->data, cid->datalen);
    if (owner == NULL) {
        table_add(&o->table, cid, p);
        owner = p;
    }
    pthread_mutex_unlock(&o->lock);
    return owner;
}

void owners_release(struct owners *o, const ngtcp2_cid *cid)
{
    pthread_mutex_lock(&o->lock);
    table_remove(&o->table, cid);
    pthread_mutex_unlock(&o->lock);
}
