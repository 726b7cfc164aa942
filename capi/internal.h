/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the files of the C lane share. The interface itself is specified in
 * include/msquicxdp/cxplat.h, the blocks shared with Go in datapath/batch/batch.h.
 *
 * How a datagram travels: an event queue calls mqx_slot_event (event.c), which enters Go once for a
 * batch (mqxGoTurn) and then runs the up-calls itself; a send is built here (send.c) and enters Go
 * once (mqxGoSend). Go never calls C.
 */
#ifndef MQX_INTERNAL_H
#define MQX_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../datapath/batch/batch.h"
#include "msquicxdp/msquicxdp.h"

#define mqx_container(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* ---- report.c: reasons, log, counters ---- */

/* Stores and logs why a call fails, and returns its status. */
QUIC_STATUS mqx_fail(QUIC_STATUS status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void mqx_log(enum msquicxdp_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void mqx_get_log(struct msquicxdp_log_options *options);

/* True when the bytes that a newer caller knows and we do not are all zero. */
bool mqx_tail_is_zero(const void *object, size_t known, size_t size);

/* Counters are striped by partition, so that workers do not share a cache line. */
enum { MQX_STRIPES = 16 };
typedef struct MqxCounters {
    _Alignas(64) _Atomic uint64_t RxTurns, RxDatagrams, RxBytes, RxDropped;
    _Atomic uint64_t TxBatches, TxDatagrams, TxBytes, TxQueued, TxFailed;
    _Atomic uint64_t Unreachable, Opened, Refused, Closed, BlockAllocs, XdpUnavailable;
    _Atomic uint64_t XdpRxDatagrams, XdpTxDatagrams, XdpTxKernel, XdpTxNoRoom, XdpTxNotTaken;
    _Atomic uint64_t XdpNoRoute, XdpTxKicks;
} MqxCounters;
MqxCounters *mqx_counters(uint16_t partition);

static inline void mqx_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* ---- options.c: what AF_XDP may be used for ---- */

/* What a program has set; a NULL list is one that it has not. */
typedef struct MqxXdpOptions {
    MqxXdpConfig Set; /* with DEFAULTs */
    bool HasInterfaces;
    bool HasDeny;
} MqxXdpOptions;

bool mqx_get_xdp(MqxXdpOptions *options);
void mqx_put_xdp(const MqxXdpOptions *options);

/* What holds for a datapath that is made now. */
QUIC_STATUS mqx_xdp_config(MqxXdpConfig *config);

/* ---- runtime.c: the Go runtime in this process ---- */

/* Starts the Go runtime of this copy. Fails in a child of fork, where Go cannot run. */
QUIC_STATUS mqx_runtime_start(void);

/* True in a child of fork whose parent had started the runtime: Go must not be entered. */
extern _Atomic bool mqx_forked;

/* ---- pool.c: caches of blocks of one size ---- */

/* Blocks begin with a next pointer, followed by their pool. A pool lives until its last block is back. */
typedef struct MqxBlock {
    struct MqxBlock *Next;
    MqxPool *Pool;
} MqxBlock;

MqxPool *mqx_pool_create(size_t size, uint16_t partition);
void mqx_pool_close(MqxPool *pool);
void *mqx_pool_get(MqxPool *pool); /* zeroed when new; NULL: out of memory */
void mqx_pool_put(void *block);

/* ---- slot.c: endpoints in memory that is never freed ---- */

/*
 * A slot holds one endpoint and what an event queue points to. An event may be dispatched after its
 * socket is gone, so slots are recycled, never freed, and an event finds a closed gate.
 */
typedef struct MqxSlot {
    CXPLAT_SQE Sqe; /* first: epoll's data.ptr */
    _Atomic uint32_t Gate;
    uint32_t Index;
    _Atomic uint32_t Generation; /* read of slots that others free meanwhile; so is Socket */
    _Atomic(CXPLAT_SOCKET *) Socket;
    struct MqxPartition *Partition;
    struct MqxRaw *Raw;   /* of a queue, and of the answers */
    struct MqxSlot *Next; /* of those that are free, or of a datapath's queues */
    uint64_t FreedAt;     /* milliseconds */
    MqxEndpoint Endpoint;
} MqxSlot;

uint64_t mqx_now_ms(void);

MqxSlot *mqx_slot_new(CXPLAT_SOCKET *socket, struct MqxPartition *partition);
void mqx_slot_free(MqxSlot *slot);

/* The slot that a CXPLAT_ROUTE.Queue names, if it belongs to socket; else NULL. Any value is safe. */
MqxSlot *mqx_slot_of_queue(const CXPLAT_QUEUE *queue, const CXPLAT_SOCKET *socket);

/* The same of any socket, with its gate entered; NULL when the socket is gone. */
MqxSlot *mqx_slot_enter(const CXPLAT_QUEUE *queue);

/*
 * The gate counts the events being served. It is opened when all that an event may look at is in
 * place. Once closed nobody enters, and the closer can wait.
 */
void mqx_gate_open(MqxSlot *slot);
bool mqx_gate_enter(MqxSlot *slot);
void mqx_gate_leave(MqxSlot *slot);
void mqx_gate_close(MqxSlot *slot);
void mqx_gate_wait(MqxSlot *slot);
bool mqx_gate_is_empty(MqxSlot *slot); /* closed, and nobody is inside */

static inline MqxSlot *mqx_slot(MqxEndpoint *endpoint)
{
    return mqx_container(endpoint, MqxSlot, Endpoint);
}

/*
 * What a slot holds when it is given to epoll is seen by the worker that epoll wakes. Go makes that
 * call, where the thread sanitizer does not see the order: it is told.
 */
#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define mqx_slot_published(slot) __tsan_release(slot)
#define mqx_slot_observed(slot) __tsan_acquire(slot)
#else
#define mqx_slot_published(slot) ((void)(slot))
#define mqx_slot_observed(slot) ((void)(slot))
#endif

/* ---- kick.c: one kick for the sends of a worker's turn ---- */

typedef struct MqxLedger MqxLedger;

/* Of one partition of a datapath; NULL: out of memory, and everybody pays at once. */
MqxLedger *mqx_ledger_open(CXPLAT_WORKER_POOL *pool, uint16_t index);

/* Nobody sends any more. The caller still holds the pool. */
void mqx_ledger_close(MqxLedger *ledger);

/* The ledger of the worker that calls; NULL on other threads, which pay at once. */
MqxLedger *mqx_ledger(const CXPLAT_DATAPATH *datapath);

/* Whether a send of so many datagrams may leave its kick to the end of the turn. */
bool mqx_may_owe(MqxLedger *ledger, const CXPLAT_QUEUE *queue, uint16_t datagrams);

/* It has; or it has paid at once, and for all that was owed to the queue. */
void mqx_owe(MqxLedger *ledger, const CXPLAT_QUEUE *queue, uint16_t datagrams);
void mqx_paid(MqxLedger *ledger, const CXPLAT_QUEUE *queue);

/* Pays what the worker that calls owes. */
void mqx_settle(const CXPLAT_DATAPATH *datapath);

/* ---- datapath.c, socket.c ---- */

typedef struct MqxPartition {
    CXPLAT_DATAPATH *Datapath;
    CXPLAT_EVENTQ EventQ;
    uint16_t Index;
    uint16_t Cpu;
    MqxPool *Rx;
    MqxPool *Tx;
    _Atomic(MqxTurn *) Turn; /* the turn that is not in use; NULL while a thread has it */
    MqxLedger *Ledger;       /* what its worker owes; NULL where AF_XDP is never used */
} MqxPartition;

/* The AF_XDP side of a datapath (raw.c). */
typedef struct MqxRaw {
    uint64_t Engine;         /* Go's */
    MqxSlot *Answers;        /* of neighbours, and that there is something to do */
    _Atomic uint32_t Served; /* how many queues are */
    pthread_mutex_t Lock;    /* over what follows */
    MqxSlot *Queues;
    MqxSlot *Ended; /* queues that are gone, into which a worker may still be looking */
} MqxRaw;

struct CXPLAT_DATAPATH {
    CXPLAT_UDP_DATAPATH_CALLBACKS Udp;
    CXPLAT_TCP_DATAPATH_CALLBACKS Tcp;
    CXPLAT_WORKER_POOL *WorkerPool;
    _Atomic uint32_t Refs; /* the handle and each socket */
    _Atomic uint32_t PollingIdleTimeoutUs;
    uint32_t Features;
    uint32_t RxStride; /* bytes of a receive slot */
    uint16_t Count;
    bool HasUdp;
    bool HasTcp;
    bool MapMode;            /* no kernel sockets: Raw is all there is, from the start */
    _Atomic uint8_t RawLook; /* whether AF_XDP may be had, once somebody has asked */
    MqxXdpConfig Xdp;        /* what AF_XDP may be used for */
    pthread_mutex_t RawLock; /* while Raw is brought up, and over the next two */
    uint64_t RawRetryAt;     /* milliseconds */
    char RawReason[MQX_REASON];
    _Atomic(MqxRaw *) Raw; /* NULL until a socket asks for it, and where it cannot be had */
    MqxPartition Partition[];
};

void mqx_datapath_retain(CXPLAT_DATAPATH *datapath);
void mqx_datapath_release(CXPLAT_DATAPATH *datapath);

struct CXPLAT_SOCKET {
    CXPLAT_DATAPATH *Datapath;
    void *Context;
    QUIC_ADDR Local;
    QUIC_ADDR Remote;
    uint16_t Count; /* endpoints */
    uint8_t Kind;
    bool Pcp;
    bool HasRemote;
    uint64_t RawTicket; /* AF_XDP receives for it, in map mode alone, else too; 0: it does not */
    MqxEndpoint *Endpoint[];
};

CXPLAT_SOCKET *mqx_socket_alloc(
    CXPLAT_DATAPATH *datapath, uint8_t kind, uint16_t count, uint16_t first);
void mqx_socket_close(CXPLAT_SOCKET *socket);

/* ---- address.c ---- */

/* Makes an IPv4-mapped address the IPv4 one that it stands for. */
void mqx_unmap(QUIC_ADDR *address);

/* ---- event.c, recv.c, send.c ---- */

void mqx_slot_event(CXPLAT_CQE *cqe);
void mqx_upcall_unreachable(CXPLAT_SOCKET *socket, int error);

size_t mqx_rx_size(uint32_t client_context_length);
uint32_t mqx_rx_stride(uint32_t client_context_length);
MqxTurn *mqx_turn_take(MqxPartition *partition);
void mqx_turn_refill(MqxPartition *partition, MqxTurn *turn);
void mqx_turn_give(MqxPartition *partition, MqxTurn *turn);
void mqx_turn_free(MqxTurn *turn);

void mqx_tx_free_list(MqxTx *list);

/* ---- raw.c: AF_XDP ---- */

/* The AF_XDP side of a datapath, brought up if need be. NULL, and why, where it cannot be had. */
MqxRaw *mqx_raw(CXPLAT_DATAPATH *datapath, char *reason);

/* Brings it up in map mode, or says why it cannot be had. */
QUIC_STATUS mqx_raw_map(CXPLAT_DATAPATH *datapath, const CXPLAT_DATAPATH_INIT_CONFIG *config);
void mqx_raw_close(CXPLAT_DATAPATH *datapath);

/* Whether a socket that asks for AF_XDP may have it, as far as a cheap look tells; the first question looks. */
bool mqx_raw_available(CXPLAT_DATAPATH *datapath);

/* Adds up what the kernel has counted for all datapaths. */
void mqx_raw_count(struct msquicxdp_xdp_counters *sum);

/* The receive queue that a CXPLAT_ROUTE.Queue names, if it is one of the datapath's. Any value is safe. */
MqxSlot *mqx_raw_slot(CXPLAT_DATAPATH *datapath, const CXPLAT_QUEUE *queue);

/* Any of its receive queues; NULL when it has none. */
MqxSlot *mqx_raw_any_slot(CXPLAT_DATAPATH *datapath);

/* True when what the socket sends on the route should leave by AF_XDP. */
bool mqx_raw_prefers(const CXPLAT_SOCKET *socket, const CXPLAT_ROUTE *route);

/* CxPlatResolveRoute for such a route. */
QUIC_STATUS mqx_raw_resolve(
    CXPLAT_SOCKET *socket,
    CXPLAT_ROUTE *route,
    uint8_t path_id,
    void *context,
    CXPLAT_ROUTE_RESOLUTION_CALLBACK_HANDLER callback);
void mqx_raw_answers(MqxSlot *slot);

/* ---- front.c: the table of functions that other copies of the archive may forward to ---- */

#include "functions.h"

#endif
