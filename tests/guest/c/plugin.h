/* SPDX-License-Identifier: MIT */
/*
 * plugin.h - a copy of the archive as a table: the functions that the tests of shared objects call.
 *
 * plugin.c is the shared object: it holds a platform and the archive, as libmsquic.so does, and may
 * export nothing but `plugin`. A program that links the archive too makes the same table of its own
 * copy.
 */
#ifndef GUEST_PLUGIN_H
#define GUEST_PLUGIN_H

#include "traffic.h"

struct plugin {
    uint32_t (*version)(void);
    size_t (*last_reason)(char *, size_t);
    int (*get_counters)(struct msquicxdp_counters *);
    int (*set_log)(const struct msquicxdp_log_options *);
    bool (*open)(struct rig *, uint32_t);
    void (*close)(struct rig *);
    void (*traffic_start)(struct traffic *, uint32_t);
    void (*traffic_more)(struct traffic *, uint64_t);
    void (*traffic_stop)(struct traffic *);
    CXPLAT_SOCKET *(*udp)(struct rig *, struct inbox *, const QUIC_ADDR *, const QUIC_ADDR *);
    bool (*send)(CXPLAT_SOCKET *, CXPLAT_ROUTE *, uint16_t, uint32_t);
    void (*recv_return)(CXPLAT_RECV_DATA *);
    void (*delete_socket)(CXPLAT_SOCKET *);
    QUIC_STATUS(*initialize)
    (uint32_t,
     const CXPLAT_UDP_DATAPATH_CALLBACKS *,
     const CXPLAT_TCP_DATAPATH_CALLBACKS *,
     CXPLAT_WORKER_POOL *,
     CXPLAT_DATAPATH_INIT_CONFIG *,
     CXPLAT_DATAPATH **);
};

#define PLUGIN_TABLE                                                                               \
    {                                                                                              \
        .version = msquicxdp_version, .last_reason = msquicxdp_last_reason,                        \
        .get_counters = msquicxdp_get_counters, .set_log = msquicxdp_set_log, .open = rig_open,    \
        .close = rig_close, .traffic_start = traffic_start, .traffic_more = traffic_more,          \
        .traffic_stop = traffic_stop, .udp = rig_udp, .send = send_pattern,                        \
        .recv_return = CxPlatRecvDataReturn, .delete_socket = CxPlatSocketDelete,                  \
        .initialize = CxPlatDataPathInitialize,                                                    \
    }

/* Of the shared object, when it was linked; else found by dlsym. */
extern const struct plugin plugin;

/* Loads a shared object and finds its table; NULL when it cannot be loaded. */
const struct plugin *plugin_load(const char *path, void **handle);

#endif
