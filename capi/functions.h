/* SPDX-License-Identifier: MIT */
/*
 * functions.h - the functions of the interface as a list: return type, name, parameters, arguments.
 *
 * From it front.c makes the exported functions, each of which calls through the table of the live
 * copy of the archive, and the table of this copy. The functions behind it are mqx_<name>.
 */
#ifndef MQX_FUNCTIONS_H
#define MQX_FUNCTIONS_H

#define MQX_FUNCTIONS(X)                                                                           \
    X(QUIC_STATUS, CxPlatDataPathInitialize,                                                       \
      (uint32_t a, const CXPLAT_UDP_DATAPATH_CALLBACKS *b, const CXPLAT_TCP_DATAPATH_CALLBACKS *c, \
       CXPLAT_WORKER_POOL *d, CXPLAT_DATAPATH_INIT_CONFIG *e, CXPLAT_DATAPATH **f),                \
      (a, b, c, d, e, f))                                                                          \
    X(void, CxPlatDataPathUninitialize, (CXPLAT_DATAPATH * a), (a))                                \
    X(void, CxPlatDataPathUpdatePollingIdleTimeout, (CXPLAT_DATAPATH * a, uint32_t b), (a, b))     \
    X(CXPLAT_DATAPATH_FEATURES, CxPlatDataPathGetSupportedFeatures,                                \
      (CXPLAT_DATAPATH * a, CXPLAT_SOCKET_FLAGS b), (a, b))                                        \
    X(BOOLEAN, CxPlatDataPathIsPaddingPreferred, (CXPLAT_DATAPATH * a, CXPLAT_SEND_DATA * b),      \
      (a, b))                                                                                      \
    X(uint32_t, CxPlatDataPathGetXdpRuleCount, (CXPLAT_DATAPATH * a), (a))                         \
    X(QUIC_STATUS, CxPlatDataPathResolveAddress,                                                   \
      (CXPLAT_DATAPATH * a, const char *b, QUIC_ADDR *c), (a, b, c))                               \
    X(QUIC_STATUS, CxPlatDataPathGetLocalAddresses,                                                \
      (CXPLAT_DATAPATH * a, CXPLAT_ADAPTER_ADDRESS * *b, uint32_t * c), (a, b, c))                 \
    X(QUIC_STATUS, CxPlatDataPathGetLocalAddressForRemote, (const QUIC_ADDR *a, QUIC_ADDR *b),     \
      (a, b))                                                                                      \
    X(QUIC_STATUS, CxPlatDataPathGetGatewayAddresses,                                              \
      (CXPLAT_DATAPATH * a, QUIC_ADDR * *b, uint32_t * c), (a, b, c))                              \
    X(QUIC_STATUS, CxPlatDataPathRssConfigGet, (uint32_t a, CXPLAT_RSS_CONFIG * *b), (a, b))       \
    X(void, CxPlatDataPathRssConfigFree, (CXPLAT_RSS_CONFIG * a), (a))                             \
    X(QUIC_STATUS, CxPlatSocketCreateUdp,                                                          \
      (CXPLAT_DATAPATH * a, const CXPLAT_UDP_CONFIG *b, CXPLAT_SOCKET **c), (a, b, c))             \
    X(QUIC_STATUS, CxPlatSocketCreateTcp,                                                          \
      (CXPLAT_DATAPATH * a, const QUIC_ADDR *b, const QUIC_ADDR *c, void *d, CXPLAT_SOCKET **e),   \
      (a, b, c, d, e))                                                                             \
    X(QUIC_STATUS, CxPlatSocketCreateTcpListener,                                                  \
      (CXPLAT_DATAPATH * a, const QUIC_ADDR *b, void *c, CXPLAT_SOCKET **d), (a, b, c, d))         \
    X(void, CxPlatSocketDelete, (CXPLAT_SOCKET * a), (a))                                          \
    X(QUIC_STATUS, CxPlatSocketUpdateQeo,                                                          \
      (CXPLAT_SOCKET * a, const CXPLAT_QEO_CONNECTION *b, uint32_t c), (a, b, c))                  \
    X(BOOLEAN, CxPlatSocketGetQtipEnabled, (CXPLAT_SOCKET * a), (a))                               \
    X(uint16_t, CxPlatSocketGetLocalMtu, (CXPLAT_SOCKET * a, CXPLAT_ROUTE * b), (a, b))            \
    X(void, CxPlatSocketGetLocalAddress, (CXPLAT_SOCKET * a, QUIC_ADDR * b), (a, b))               \
    X(void, CxPlatSocketGetRemoteAddress, (CXPLAT_SOCKET * a, QUIC_ADDR * b), (a, b))              \
    X(BOOLEAN, CxPlatSocketRawSocketAvailable, (CXPLAT_SOCKET * a), (a))                           \
    X(QUIC_STATUS, CxPlatSocketGetTcpStatistics, (CXPLAT_SOCKET * a, CXPLAT_TCP_STATISTICS * b),   \
      (a, b))                                                                                      \
    X(void, CxPlatRecvDataReturn, (CXPLAT_RECV_DATA * a), (a))                                     \
    X(CXPLAT_SEND_DATA *, CxPlatSendDataAlloc, (CXPLAT_SOCKET * a, CXPLAT_SEND_CONFIG * b),        \
      (a, b))                                                                                      \
    X(void, CxPlatSendDataFree, (CXPLAT_SEND_DATA * a), (a))                                       \
    X(QUIC_BUFFER *, CxPlatSendDataAllocBuffer, (CXPLAT_SEND_DATA * a, uint16_t b), (a, b))        \
    X(void, CxPlatSendDataFreeBuffer, (CXPLAT_SEND_DATA * a, QUIC_BUFFER * b), (a, b))             \
    X(BOOLEAN, CxPlatSendDataIsFull, (CXPLAT_SEND_DATA * a), (a))                                  \
    X(void, CxPlatSocketSend, (CXPLAT_SOCKET * a, const CXPLAT_ROUTE *b, CXPLAT_SEND_DATA *c),     \
      (a, b, c))                                                                                   \
    X(QUIC_STATUS, CxPlatResolveRoute,                                                             \
      (CXPLAT_SOCKET * a, CXPLAT_ROUTE * b, uint8_t c, void *d,                                    \
       CXPLAT_ROUTE_RESOLUTION_CALLBACK_HANDLER e),                                                \
      (a, b, c, d, e))                                                                             \
    X(void, CxPlatResolveRouteComplete, (void *a, CXPLAT_ROUTE *b, const uint8_t *c, uint8_t d),   \
      (a, b, c, d))                                                                                \
    X(void, CxPlatUpdateRoute, (CXPLAT_ROUTE * a, CXPLAT_ROUTE * b), (a, b))                       \
    X(void, QuicCopyRouteInfo, (CXPLAT_ROUTE * a, CXPLAT_ROUTE * b), (a, b))                       \
    X(size_t, msquicxdp_last_reason, (char *a, size_t b), (a, b))                                  \
    X(int, msquicxdp_set_log, (const struct msquicxdp_log_options *a), (a))                        \
    X(int, msquicxdp_get_counters, (struct msquicxdp_counters * a), (a))                           \
    X(int, msquicxdp_get_xdp_counters, (struct msquicxdp_xdp_counters * a), (a))                   \
    X(int, msquicxdp_set_xdp, (const struct msquicxdp_xdp_options *a), (a))

#define MQX_DECLARE(ret, name, params, args) ret mqx_##name params;
MQX_FUNCTIONS(MQX_DECLARE)
#undef MQX_DECLARE

/* The functions of one copy of the archive. Its order is part of MQX_COPY_ABI (front.c). */
typedef struct MqxTable {
#define MQX_MEMBER(ret, name, params, args) ret(*name) params;
    MQX_FUNCTIONS(MQX_MEMBER)
#undef MQX_MEMBER
    void (*Log)(
        struct msquicxdp_log_options *options); /* the hook that was set through this copy */
    bool (*Xdp)(MqxXdpOptions *options);        /* false: none were set through it */
} MqxTable;

#endif
