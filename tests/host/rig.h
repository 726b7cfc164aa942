/* SPDX-License-Identifier: MIT */
/*
 * rig.h - a worker pool with a datapath on it, and the short forms of what most tests do with one.
 */
#ifndef HOST_RIG_H
#define HOST_RIG_H

#include <stdbool.h>
#include <stddef.h>

#include "host/address.h"
#include "host/check.h"
#include "host/inbox.h"
#include "host/pool.h"
#include "host/wait.h"
#include "msquicxdp/cxplat.h"
#include "msquicxdp/msquicxdp.h"

/* The ClientRecvContextLength of a rig; core's includes CXPLAT_RECV_DATA too. */
enum { RIG_CONTEXT_LENGTH = 160 };

struct rig {
    CXPLAT_WORKER_POOL *pool;
    CXPLAT_DATAPATH *datapath;
    bool external;
};

/* A pool of threads, or one that the test polls, and a datapath with the callbacks of inboxes. */
bool rig_open(struct rig *rig, uint32_t workers);
bool rig_open_external(struct rig *rig, uint32_t workers);

/* The same with threads, in map mode. */
bool rig_open_maps(
    struct rig *rig, uint32_t workers, const CXPLAT_XDP_MAP_CONFIG *maps, uint32_t count);

/* Uninitializes and deletes the pool. A second call does nothing. */
void rig_close(struct rig *rig);

/* External: polls every worker once; the last one waits up to timeout_ms if none had anything. */
void rig_poll(struct rig *rig, int timeout_ms);

/* A status that must be a success; prints the last reason if not. */
#define CHECK_OK(status) rig_check_status((status), #status, __FILE__, __LINE__)
bool rig_check_status(QUIC_STATUS status, const char *text, const char *file, int line);

/* A failure that must be `want`, with a reason that can be read. */
#define CHECK_REFUSED(status, want) rig_check_refused((status), (want), #status, __FILE__, __LINE__)
bool rig_check_refused(
    QUIC_STATUS status, QUIC_STATUS want, const char *text, const char *file, int line);

/* Sockets; NULL, and a failure of the test, when they cannot be made. */
CXPLAT_SOCKET *rig_udp(
    struct rig *rig, struct inbox *in, const QUIC_ADDR *local, const QUIC_ADDR *remote);
CXPLAT_SOCKET *rig_udp_flags(
    struct rig *rig,
    struct inbox *in,
    const QUIC_ADDR *local,
    const QUIC_ADDR *remote,
    CXPLAT_SOCKET_FLAGS flags);
CXPLAT_SOCKET *rig_tcp(struct rig *rig, struct inbox *in, const QUIC_ADDR *remote);
CXPLAT_SOCKET *rig_listener(struct rig *rig, struct inbox *in, const QUIC_ADDR *local);

/* Deletes a socket and seals its inbox. NULL is allowed. */
void rig_delete(CXPLAT_SOCKET *socket, struct inbox *in);

QUIC_ADDR socket_local(CXPLAT_SOCKET *socket);
QUIC_ADDR socket_remote(CXPLAT_SOCKET *socket);

/* A resolved route from the socket to its own remote address, or to `remote`. */
CXPLAT_ROUTE route_of(CXPLAT_SOCKET *socket);
CXPLAT_ROUTE route_to(CXPLAT_SOCKET *socket, const QUIC_ADDR *remote);

/* One datagram, or stretch of a stream. FALSE, and a failure, when a buffer cannot be had. */
bool send_bytes(CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route, const void *data, uint16_t length);

/* One datagram with the pattern of seed. */
bool send_pattern(CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route, uint16_t length, uint32_t seed);

/* count datagrams of `length` bytes in one send, with the patterns of seed, seed + 1, ... */
bool send_batch(
    CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route, unsigned count, uint16_t length, uint32_t seed);

/* A send with one open buffer of `length` bytes, not yet given to the socket. */
CXPLAT_SEND_DATA *send_open(
    CXPLAT_SOCKET *socket,
    CXPLAT_ROUTE *route,
    uint16_t packet_size,
    uint16_t length,
    QUIC_BUFFER **buffer);

struct msquicxdp_counters counters_now(void);

/*
 * To be a test program's check_warm_up: lets the archive, and libc, start what lives as long as the
 * process. The smaller one makes and ends a datapath, nothing else.
 */
void rig_warm_up(void);
void rig_start_runtime(void);

#endif
