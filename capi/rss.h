/* SPDX-License-Identifier: MIT */
/* rss.h - how an interface spreads packets, as Go finds it out. */
#ifndef MQX_RSS_H
#define MQX_RSS_H

#include <stdint.h>

/* What ethtool.MaxKey and ethtool.MaxTable say. */
enum { MQX_RSS_KEY = 256, MQX_RSS_TABLE = 4096 };

typedef struct MqxRss {
    uint32_t HashTypes; /* CXPLAT_RSS_HASH_TYPE */
    uint32_t KeyLength;
    uint32_t TableCount;
    uint8_t Key[MQX_RSS_KEY];
    uint32_t Table[MQX_RSS_TABLE]; /* numbers of queues */
} MqxRss;

#endif
