/* SPDX-License-Identifier: MIT */
/*
 * cxplat.h - the interface between MsQuic's core and its datapath on Linux.
 *
 * PURPOSE
 *   The core of MsQuic does no I/O. It asks a datapath for sockets, hands it datagrams to send and
 *   is called back with what arrives. libmsquicxdp.a is such a datapath, linked in place of the one
 *   in MsQuic's own tree: it defines the 34 functions of parts 4 to 9, and imports the symbols of
 *   part 3 and CxPlatPcpRecvCallback. This header is the specification that the archive is written
 *   to. Names, numbers and layouts are MsQuic's (the facts are in ../abi/msquic.json and asserted
 *   by ../abi/layout_asserts.h); where MsQuic leaves the behaviour open, what is said here holds.
 *
 *   It is not for applications, which include msquic.h, and it cannot be included together with
 *   MsQuic's headers, which declare the same names.
 *
 * WORDS
 *   core        MsQuic above this interface, and its tools and tests, which use it the same way
 *   worker      a thread that waits on one event queue of a worker pool: MsQuic's own, or the
 *               application's ("external execution"); a partition is a worker's index in the pool
 *   up-call     a call from the archive into core, through a callback
 *   raw         over AF_XDP; normal = over kernel sockets. A raw socket has both: what is for
 *               loopback, or comes in by an interface without AF_XDP, takes the kernel sockets
 *   committed   a send buffer whose length is final, see CxPlatSendDataAllocBuffer
 *
 * THREADS AND BLOCKING, a class given with each function
 *   passive     The caller may sleep. It may still be a worker, since connections open and close
 *               there, or the only thread that polls at all: the call may wait for the kernel and
 *               for a running up-call to end, never for a worker to come round again.
 *   any         Also inside an up-call or under core's locks. No waiting, no lock that is held
 *               across system calls, and no up-call unless the function says so.
 *   Several threads may call at once, also on one socket. Only a CXPLAT_SEND_DATA has one user at
 *   a time.
 *
 * OWNERSHIP
 *   CXPLAT_DATAPATH, CXPLAT_SOCKET, CXPLAT_SEND_DATA and CXPLAT_QUEUE are opaque; the archive makes
 *   and frees them. Arguments are borrowed for the call unless their owner is named. Received data
 *   belongs to core until CxPlatRecvDataReturn, a send to the caller until CxPlatSocketSend or
 *   CxPlatSendDataFree. All that core or the kernel keeps a pointer to (these objects, received
 *   data and its route, CXPLAT_SQE, CXPLAT_EXECUTION_CONTEXT) is C memory that never moves.
 *   What the caller frees comes from CxPlatAlloc with the tag named.
 *
 * STATUS
 *   A QUIC_STATUS is 0, a positive errno, or one of two negative numbers that are no failures:
 *   PENDING and CONTINUE. QUIC_FAILED is "> 0": no other negative value may ever be returned, core
 *   would take it for success. A refused system call goes out as its errno. A function that fails
 *   leaves its out parameters NULL, or untouched where they are not pointers.
 *
 * UP-CALLS
 *   They come from workers, from the sending thread where that is said, and for one socket on
 *   several threads at once. What one kernel socket receives comes on one thread, in order. They take
 *   core's locks and may call back into every function here but CxPlatSocketDelete for the socket
 *   they concern, so the archive holds no lock of its own around one.
 *
 * HAZARDS
 *   - Every QUIC_ADDR is moved whole, 28 bytes, for IPv4 too.
 *   - A route's Queue may belong to another socket, or to one that is gone: checked, never trusted.
 *   - Core decrypts in place and lets tests write over payload and route, so all that
 *     a CXPLAT_RECV_DATA points to is writable and has no other user until it is returned.
 *   - Some users never return received data. That must not stop a delete or an uninitialize.
 *   - Allocation can fail anywhere, in debug builds on purpose: OUT_OF_MEMORY or NULL, no abort.
 *   - An event already taken from epoll is still dispatched after EPOLL_CTL_DEL, see CXPLAT_SQE.
 *   - A process can hold the archive twice, in a program and in libmsquic.so: two sets of globals.
 */
#ifndef MSQUICXDP_CXPLAT_H
#define MSQUICXDP_CXPLAT_H

#ifdef _MSQUIC_POSIX_
#error "msquicxdp/cxplat.h declares what MsQuic's own headers declare: include one or the other"
#endif

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ============================================================================================== *
 * 1. Basic types
 * ============================================================================================== */

typedef uint8_t BOOLEAN;

#ifndef FALSE
#define FALSE 0
#define TRUE 1
#endif

typedef uint32_t QUIC_STATUS;

#define QUIC_FAILED(status) ((int)(status) > 0)
#define QUIC_SUCCEEDED(status) ((int)(status) <= 0)

#define QUIC_STATUS_SUCCESS ((QUIC_STATUS)0)
#define QUIC_STATUS_CONTINUE ((QUIC_STATUS)-1)
#define QUIC_STATUS_PENDING ((QUIC_STATUS)-2)
#define QUIC_STATUS_INVALID_STATE ((QUIC_STATUS)EPERM)
#define QUIC_STATUS_NOT_FOUND ((QUIC_STATUS)ENOENT)
#define QUIC_STATUS_INTERNAL_ERROR ((QUIC_STATUS)EIO)
#define QUIC_STATUS_OUT_OF_MEMORY ((QUIC_STATUS)ENOMEM)
#define QUIC_STATUS_INVALID_PARAMETER ((QUIC_STATUS)EINVAL)
#define QUIC_STATUS_BUFFER_TOO_SMALL ((QUIC_STATUS)EOVERFLOW)
#define QUIC_STATUS_NOT_SUPPORTED ((QUIC_STATUS)EOPNOTSUPP)
#define QUIC_STATUS_INVALID_ADDRESS ((QUIC_STATUS)EAFNOSUPPORT)
#define QUIC_STATUS_ADDRESS_IN_USE ((QUIC_STATUS)EADDRINUSE)
#define QUIC_STATUS_ADDRESS_NOT_AVAILABLE ((QUIC_STATUS)EADDRNOTAVAIL)
#define QUIC_STATUS_CONNECTION_TIMEOUT ((QUIC_STATUS)ETIMEDOUT)
#define QUIC_STATUS_CONNECTION_REFUSED ((QUIC_STATUS)ECONNREFUSED)
#define QUIC_STATUS_UNREACHABLE ((QUIC_STATUS)EHOSTUNREACH)
#define QUIC_STATUS_ABORTED ((QUIC_STATUS)ECANCELED)

typedef sa_family_t QUIC_ADDRESS_FAMILY;

#define QUIC_ADDRESS_FAMILY_UNSPEC AF_UNSPEC
#define QUIC_ADDRESS_FAMILY_INET AF_INET
#define QUIC_ADDRESS_FAMILY_INET6 AF_INET6

/*
 * An address and port, as the kernel has them. What crosses the interface is never v4-mapped: such
 * an address is turned into an IPv4 one. Core compares family, port and IP, never the scope.
 * Ipv6.sin6_scope_id carries an interface index in both families: for IPv4 it lies behind the end
 * of Ipv4, which is why the union is always copied whole.
 */
typedef union QUIC_ADDR {
    struct sockaddr Ip;
    struct sockaddr_in Ipv4;
    struct sockaddr_in6 Ipv6;
} QUIC_ADDR;

typedef struct QUIC_BUFFER {
    uint32_t Length;
    uint8_t *Buffer;
} QUIC_BUFFER;

/* ============================================================================================== *
 * 2. Numbers
 * ============================================================================================== */

/* The largest IP packet, and with an IPv4 and a UDP header taken off, the largest payload. */
#define CXPLAT_MAX_MTU 1500
#define MAX_UDP_PAYLOAD_LENGTH (CXPLAT_MAX_MTU - 20 - 8)

#define QUIC_ADDR_EPHEMERAL_PORT_MIN 49152
#define QUIC_ADDR_EPHEMERAL_PORT_MAX 65535

/* The traffic class byte of a packet is ECN | DSCP << 2. */
typedef enum CXPLAT_ECN_TYPE {
    CXPLAT_ECN_NON_ECT = 0,
    CXPLAT_ECN_ECT_1 = 1,
    CXPLAT_ECN_ECT_0 = 2,
    CXPLAT_ECN_CE = 3
} CXPLAT_ECN_TYPE;

typedef enum CXPLAT_DSCP_TYPE {
    CXPLAT_DSCP_CS0 = 0,
    CXPLAT_DSCP_LE = 1,
    CXPLAT_DSCP_CS1 = 8,
    CXPLAT_DSCP_CS2 = 16,
    CXPLAT_DSCP_CS3 = 24,
    CXPLAT_DSCP_CS4 = 32,
    CXPLAT_DSCP_CS5 = 40,
    CXPLAT_DSCP_EF = 46
} CXPLAT_DSCP_TYPE;

#define CXPLAT_MAX_DSCP 63

/* Tags of allocations. Freed with the tag they were made with; Linux builds do not look at them. */
#define QUIC_POOL_DATA 0x36306351u                /* receive and send blocks */
#define QUIC_POOL_DATAPATH 0x42326351u            /* datapaths */
#define QUIC_POOL_SOCKET 0x43326351u              /* sockets */
#define QUIC_POOL_DATAPATH_ADDRESSES 0x36346351u  /* address lists, freed by the caller */
#define QUIC_POOL_DATAPATH_RSS_CONFIG 0x46346351u /* RSS configurations */

/* ============================================================================================== *
 * 3. What the archive imports from MsQuic's platform
 *
 * These stay in MsQuic. None of them blocks, and unless said otherwise any thread may call.
 * ============================================================================================== */

/*
 * Zeroed memory, aligned as malloc does, or NULL. ByteCount is not 0. Debug builds inject failures
 * here and nowhere else: what core expects to be able to fail has to be allocated by this function.
 */
void *CxPlatAlloc(size_t ByteCount, uint32_t Tag);
void CxPlatFree(void *Mem, uint32_t Tag);

/* Traces a failed assertion and returns. The archive goes on as well as it can. */
void CxPlatLogAssert(const char *File, int Line, const char *Expr);

/* Processors online, set before the first datapath; and the caller's own, below that count. */
extern uint32_t CxPlatProcessorCount;
uint32_t CxPlatProcCurrentNumber(void);

/*
 * Event queues. A worker's queue is an epoll descriptor. All that is registered on it has data.ptr
 * pointing at a CXPLAT_SQE and nothing else: for each event, up to sixteen in a batch, the worker
 * calls Completion with the event. Completion runs on the worker (or on the application's polling
 * thread) and does not block.
 *
 * What only has to wake a worker registers an eventfd, stored in fd, edge-triggered, and writes 1
 * to it; several writes may arrive as one event and nobody reads it. A registered socket leaves fd
 * unused. MsQuic does this in inline code, so there is no symbol to import.
 *
 * After EPOLL_CTL_DEL an event may still lie in a batch that is being worked off. The memory of a
 * CXPLAT_SQE is reused only once its worker has been seen to fetch another batch, or the pool is
 * gone.
 */
typedef int CXPLAT_EVENTQ;
typedef struct epoll_event CXPLAT_CQE;

typedef void(CXPLAT_EVENT_COMPLETION)(CXPLAT_CQE *Cqe);
typedef CXPLAT_EVENT_COMPLETION *CXPLAT_EVENT_COMPLETION_HANDLER;

typedef struct CXPLAT_SQE {
    int fd;
    CXPLAT_EVENT_COMPLETION_HANDLER Completion;
} CXPLAT_SQE;

/*
 * Execution contexts: work that a worker does between its waits.
 *
 * The worker calls Callback(Context) when Ready was set, after clearing it, or when NextTimeUs has
 * come (CLOCK_MONOTONIC, UINT64_MAX = never; the callback moves it on). On the worker itself
 * setting Ready is enough; another thread sets it and then makes the worker's queue fire. The
 * worker sleeps when no context of its is ready. Callback does not block, and returns FALSE to be
 * unlinked for good: only then is the memory the archive's again.
 *
 * A callback that worked sets State->NoWorkCount to 0. One that found nothing stays Ready while
 * TimeNow - LastWorkTime is below the polling idle timeout, then it arms its descriptors and
 * rests. A pool of the application's does not keep LastWorkTime up to date.
 */
typedef uint32_t CXPLAT_THREAD_ID;

typedef struct CXPLAT_SLIST_ENTRY {
    struct CXPLAT_SLIST_ENTRY *Next;
} CXPLAT_SLIST_ENTRY;

typedef struct CXPLAT_EXECUTION_STATE {
    uint64_t TimeNow;             /* microseconds, set before each turn */
    uint64_t LastWorkTime;        /* microseconds */
    uint64_t LastPoolProcessTime; /* the worker's own */
    uint32_t WaitTime;            /* milliseconds of its last wait for events; 0: there was none */
    uint32_t NoWorkCount;         /* turns since there was work */
    CXPLAT_THREAD_ID ThreadID;
} CXPLAT_EXECUTION_STATE;

typedef BOOLEAN (*CXPLAT_EXECUTION_FN)(void *Context, CXPLAT_EXECUTION_STATE *State);

typedef struct CXPLAT_EXECUTION_CONTEXT {
    CXPLAT_SLIST_ENTRY Entry; /* the worker's */
    void *Context;
    void *CxPlatContext; /* the worker's */
    CXPLAT_EXECUTION_FN Callback;
    uint64_t NextTimeUs;
    volatile BOOLEAN Ready; /* written by several threads: atomically */
} CXPLAT_EXECUTION_CONTEXT;

/*
 * Worker pools. A pool has 1 to 65535 workers, on any processors, more or fewer than there are.
 * Whoever uses one holds a reference, counted by kind in debug builds: it is released with the
 * kind it was taken with. Deleting a pool waits for the last release. An index is below the count,
 * MsQuic ends the process otherwise.
 */
typedef struct CXPLAT_WORKER_POOL CXPLAT_WORKER_POOL;

typedef enum CXPLAT_WORKER_POOL_REF {
    CXPLAT_WORKER_POOL_REF_EXTERNAL,
    CXPLAT_WORKER_POOL_REF_LIBRARY,
    CXPLAT_WORKER_POOL_REF_EPOLL, /* the archive's: a datapath */
    CXPLAT_WORKER_POOL_REF_IOURING,
    CXPLAT_WORKER_POOL_REF_KQUEUE,
    CXPLAT_WORKER_POOL_REF_RAW, /* the archive's: the raw side of a datapath */
    CXPLAT_WORKER_POOL_REF_WINSOCK,
    CXPLAT_WORKER_POOL_REF_TOOL,
    CXPLAT_WORKER_POOL_REF_COUNT
} CXPLAT_WORKER_POOL_REF;

/* FALSE when the pool is being deleted. */
BOOLEAN CxPlatWorkerPoolAddRef(CXPLAT_WORKER_POOL *WorkerPool, CXPLAT_WORKER_POOL_REF RefType);
void CxPlatWorkerPoolRelease(CXPLAT_WORKER_POOL *WorkerPool, CXPLAT_WORKER_POOL_REF RefType);

uint32_t CxPlatWorkerPoolGetCount(CXPLAT_WORKER_POOL *WorkerPool);
uint32_t CxPlatWorkerPoolGetIdealProcessor(CXPLAT_WORKER_POOL *WorkerPool, uint32_t Index);

/* The queue is the pool's, or the application's; the pointer holds as long as our reference. */
CXPLAT_EVENTQ *CxPlatWorkerPoolGetEventQ(CXPLAT_WORKER_POOL *WorkerPool, uint16_t Index);

/* Links Context to a worker and wakes it. The worker has the memory until Callback says FALSE. */
void CxPlatWorkerPoolAddExecutionContext(
    CXPLAT_WORKER_POOL *WorkerPool, CXPLAT_EXECUTION_CONTEXT *Context, uint16_t Index);

/* ============================================================================================== *
 * 4. Datapaths
 * ============================================================================================== */

typedef struct CXPLAT_DATAPATH CXPLAT_DATAPATH;
typedef struct CXPLAT_SOCKET CXPLAT_SOCKET;
typedef struct CXPLAT_SEND_DATA CXPLAT_SEND_DATA;
typedef struct CXPLAT_QUEUE CXPLAT_QUEUE;
typedef struct CXPLAT_RECV_DATA CXPLAT_RECV_DATA; /* defined in part 6 */
typedef struct CXPLAT_ROUTE CXPLAT_ROUTE;         /* defined in part 8 */

/*
 * Data has arrived for Socket: a chain of at least one element, all core's from here on (part 6).
 * Context is the one given when the socket was made.
 */
typedef void(CXPLAT_DATAPATH_RECEIVE_CALLBACK)(
    CXPLAT_SOCKET *Socket, void *Context, CXPLAT_RECV_DATA *RecvDataChain);
typedef CXPLAT_DATAPATH_RECEIVE_CALLBACK *CXPLAT_DATAPATH_RECEIVE_CALLBACK_HANDLER;

/*
 * The peer of a connected UDP socket cannot be reached: ECONNREFUSED, EHOSTUNREACH or ENETUNREACH
 * came back, from whichever call the kernel reported it through. May be called on the sending
 * thread, inside CxPlatSocketSend. RemoteAddress is the peer's.
 */
typedef void(CXPLAT_DATAPATH_UNREACHABLE_CALLBACK)(
    CXPLAT_SOCKET *Socket, void *Context, const QUIC_ADDR *RemoteAddress);
typedef CXPLAT_DATAPATH_UNREACHABLE_CALLBACK *CXPLAT_DATAPATH_UNREACHABLE_CALLBACK_HANDLER;

typedef struct CXPLAT_UDP_DATAPATH_CALLBACKS {
    CXPLAT_DATAPATH_RECEIVE_CALLBACK_HANDLER Receive;
    CXPLAT_DATAPATH_UNREACHABLE_CALLBACK_HANDLER Unreachable;
} CXPLAT_UDP_DATAPATH_CALLBACKS;

/*
 * A listener has a new connection. AcceptSocket is complete: it may be used at once, by other
 * threads too. The status decides: on failure the archive deletes it, else *AcceptClientContext is
 * its context, and its first other up-call comes after this one has returned. Core deletes neither
 * socket in here.
 */
typedef QUIC_STATUS(CXPLAT_DATAPATH_ACCEPT_CALLBACK)(
    CXPLAT_SOCKET *ListenerSocket,
    void *ListenerContext,
    CXPLAT_SOCKET *AcceptSocket,
    void **AcceptClientContext);
typedef CXPLAT_DATAPATH_ACCEPT_CALLBACK *CXPLAT_DATAPATH_ACCEPT_CALLBACK_HANDLER;

/*
 * TRUE once, when a client's connection stands. FALSE once, when it could not be made or when the
 * other side has closed or reset it, after all data that came before. Never for our own delete.
 */
typedef void(CXPLAT_DATAPATH_CONNECT_CALLBACK)(
    CXPLAT_SOCKET *Socket, void *Context, BOOLEAN Connected);
typedef CXPLAT_DATAPATH_CONNECT_CALLBACK *CXPLAT_DATAPATH_CONNECT_CALLBACK_HANDLER;

/*
 * A TCP send is done: all ByteCount bytes are the kernel's, or Status says why not. Once for each
 * CxPlatSocketSend, perhaps inside it; not at all for what a delete throws away.
 */
typedef void(CXPLAT_DATAPATH_SEND_COMPLETE_CALLBACK)(
    CXPLAT_SOCKET *Socket, void *Context, QUIC_STATUS Status, uint32_t ByteCount);
typedef CXPLAT_DATAPATH_SEND_COMPLETE_CALLBACK *CXPLAT_DATAPATH_SEND_COMPLETE_CALLBACK_HANDLER;

typedef struct CXPLAT_TCP_DATAPATH_CALLBACKS {
    CXPLAT_DATAPATH_ACCEPT_CALLBACK_HANDLER Accept;
    CXPLAT_DATAPATH_CONNECT_CALLBACK_HANDLER Connect;
    CXPLAT_DATAPATH_RECEIVE_CALLBACK_HANDLER Receive;
    CXPLAT_DATAPATH_SEND_COMPLETE_CALLBACK_HANDLER SendComplete;
} CXPLAT_TCP_DATAPATH_CALLBACKS;

/* An XSKMAP of the application's, for one interface. The descriptor stays its own. */
typedef int QUIC_XDP_MAP_HANDLE;

typedef struct CXPLAT_XDP_MAP_CONFIG {
    uint32_t InterfaceIndex;
    QUIC_XDP_MAP_HANDLE MapHandle;
} CXPLAT_XDP_MAP_CONFIG;

/*
 * With XdpMapConfigCount > 0 the datapath is in map mode: the application has its own XDP program,
 * and the archive only enters its AF_XDP sockets into the maps given, under their queue numbers,
 * and takes them out again at the end. It attaches no program, makes no rule and no kernel socket;
 * all its sockets are raw and there is no falling back. Entries for interfaces that do not exist
 * are ignored; of two for one interface the first counts. A map has one socket for each queue: it
 * is of one datapath. The handle stays the application's.
 */
typedef struct CXPLAT_DATAPATH_INIT_CONFIG {
    BOOLEAN EnableDscpOnRecv; /* no effect: received packets always tell theirs */
    const CXPLAT_XDP_MAP_CONFIG *XdpMapConfigs;
    uint32_t XdpMapConfigCount;
} CXPLAT_DATAPATH_INIT_CONFIG;

/*
 * Makes a datapath on a worker pool. Cheap, and takes nothing that others may need: a process has
 * many datapaths, one for each test or tool beside MsQuic's. Whether AF_XDP can be had is found
 * out here; interfaces are opened with the first socket that asks for it.
 *
 * ClientRecvContextLength, at most 4096, is explained with CXPLAT_RECV_DATA. Callbacks are copied; NULL means no
 * sockets of that kind (except PCP ones), and both may be NULL for a user that only resolves
 * names. The configuration is read during the call, NULL counts as all zero. The pool is
 * referenced until the last piece of the datapath is gone.
 *
 * Threads   passive, under core's library lock
 * Blocks    for system calls
 * Up-calls  none
 * Status    SUCCESS; INVALID_PARAMETER, checked in this order: no NewDatapath, callbacks with a
 *           NULL among them, no pool, map mode without UDP callbacks; NOT_SUPPORTED: map mode
 *           without AF_XDP or with a map that refused an entry; INVALID_STATE: the pool is being
 *           deleted; OUT_OF_MEMORY; errno
 */
QUIC_STATUS CxPlatDataPathInitialize(
    uint32_t ClientRecvContextLength,
    const CXPLAT_UDP_DATAPATH_CALLBACKS *UdpCallbacks,
    const CXPLAT_TCP_DATAPATH_CALLBACKS *TcpCallbacks,
    CXPLAT_WORKER_POOL *WorkerPool,
    CXPLAT_DATAPATH_INIT_CONFIG *InitConfig,
    CXPLAT_DATAPATH **NewDatapath);

/*
 * Ends a datapath whose sockets have been deleted. The handle is dead on return; what deleted
 * sockets still have under way on workers ends later and holds the pool until then. With none
 * under way the pool is released before this returns, since nobody may ever poll again. Received
 * data that nobody returned does not hold anything up.
 *
 * Threads   passive
 * Blocks    for system calls, not for workers
 * Up-calls  none
 */
void CxPlatDataPathUninitialize(CXPLAT_DATAPATH *Datapath);

/*
 * How long a raw worker polls on without work before it waits in the kernel. 0 = not at all,
 * UINT32_MAX = for ever. Comes at any time. No effect on kernel sockets.
 *
 * Threads: passive, under core's library lock. Blocks: no. Up-calls: none.
 */
void CxPlatDataPathUpdatePollingIdleTimeout(
    CXPLAT_DATAPATH *Datapath, uint32_t PollingIdleTimeoutUs);

/*
 * What a datapath can do, and what core concludes:
 *   LOCAL_PORT_SHARING    sockets may share a local port: a binding is known by both its addresses
 *   PORT_RESERVATIONS     a second listener on a port fails
 *   TCP                   the TCP functions work
 *   RAW                   raw sockets can be had
 *   TTL                   HopLimitTTL of every datagram is real; without it, always 0
 *   SEND_DSCP, RECV_DSCP  DSCP arrives as it was sent; without them it reads 0
 * From the others it concludes nothing.
 */
typedef enum CXPLAT_DATAPATH_FEATURES {
    CXPLAT_DATAPATH_FEATURE_NONE = 0x000,
    CXPLAT_DATAPATH_FEATURE_RECV_SIDE_SCALING = 0x001,
    CXPLAT_DATAPATH_FEATURE_RECV_COALESCING = 0x002,
    CXPLAT_DATAPATH_FEATURE_SEND_SEGMENTATION = 0x004,
    CXPLAT_DATAPATH_FEATURE_LOCAL_PORT_SHARING = 0x008,
    CXPLAT_DATAPATH_FEATURE_PORT_RESERVATIONS = 0x010,
    CXPLAT_DATAPATH_FEATURE_TCP = 0x020,
    CXPLAT_DATAPATH_FEATURE_RAW = 0x040,
    CXPLAT_DATAPATH_FEATURE_TTL = 0x080,
    CXPLAT_DATAPATH_FEATURE_SEND_DSCP = 0x100,
    CXPLAT_DATAPATH_FEATURE_RECV_DSCP = 0x200
} CXPLAT_DATAPATH_FEATURES;

/* Who asks for a UDP socket, and for what. CxPlatSocketCreateUdp says what becomes of it. */
typedef enum CXPLAT_SOCKET_FLAGS {
    CXPLAT_SOCKET_FLAG_NONE = 0x00,
    CXPLAT_SOCKET_FLAG_PCP = 0x01,        /* receive goes to CxPlatPcpRecvCallback */
    CXPLAT_SOCKET_FLAG_SHARE = 0x02,      /* may share address and port within the process */
    CXPLAT_SOCKET_SERVER_OWNED = 0x04,    /* a listener's; no effect here */
    CXPLAT_SOCKET_FLAG_XDP = 0x08,        /* raw, if it can be had */
    CXPLAT_SOCKET_FLAG_QTIP = 0x10,       /* QUIC inside TCP segments; needs raw */
    CXPLAT_SOCKET_FLAG_PARTITIONED = 0x20 /* on partition PartitionIndex alone */
} CXPLAT_SOCKET_FLAGS;

/*
 * The features of sockets with these flags. RAW and what goes with it are told only if SocketFlags
 * has XDP: else a user would take every socket for raw. In map mode the answer is then NONE.
 *
 * Threads: any, under core's locks. Blocks: no. Up-calls: none.
 */
CXPLAT_DATAPATH_FEATURES CxPlatDataPathGetSupportedFeatures(
    CXPLAT_DATAPATH *Datapath, CXPLAT_SOCKET_FLAGS SocketFlags);

/*
 * Redirect rules in force for this datapath, over all interfaces. 0 without raw and in map mode.
 *
 * Threads   passive
 * Blocks    for system calls
 * Up-calls  none
 */
uint32_t CxPlatDataPathGetXdpRuleCount(CXPLAT_DATAPATH *Datapath);

/* ============================================================================================== *
 * 5. Sockets
 * ============================================================================================== */

/*
 * What a UDP socket is to be. All of it, the addresses too, is borrowed for the call.
 *
 * A remote address makes a client and is no wildcard. Without one it is a server and takes
 * datagrams from everybody: core's listeners give [::] and a port. No local address means any,
 * of both families. 0.0.0.0 takes IPv4 alone, [::] both.
 *
 * CIBIR lets servers share a port: a datagram belongs to the one whose identifier it carries, at
 * CibirIdOffsetSrc in the source connection ID of a long header, at CibirIdOffsetDst in the
 * destination connection ID of a short one. All servers on a port use one length and one pair of
 * offsets, and identifiers that differ.
 */
typedef struct CXPLAT_UDP_CONFIG {
    const QUIC_ADDR *LocalAddress;
    const QUIC_ADDR *RemoteAddress;
    CXPLAT_SOCKET_FLAGS Flags;
    uint32_t InterfaceIndex; /* the socket is bound to it; 0 = any */
    uint16_t PartitionIndex; /* for clients and PARTITIONED; taken modulo the count */
    void *CallbackContext;
    uint8_t CibirIdLength; /* 0 = no CIBIR */
    uint8_t CibirIdOffsetSrc;
    uint8_t CibirIdOffsetDst;
    uint8_t CibirId[6];
} CXPLAT_UDP_CONFIG;

/*
 * Makes a UDP socket.
 *
 * A client, or one that is PARTITIONED, lives on one partition. Any other server is served by all
 * of them: several kernel sockets on one port, chosen by the CPU that receives.
 *
 * Ports. A local port that is given is the port that is used. Port 0 picks one, the same for all
 * kernel sockets and never that of the remote. A client's port is its own, unless SHARE lets it be
 * shared, in this process, with a socket that has another remote. A server's port is exclusive,
 * across processes, unless both have CIBIR with one encoding and different identifiers.
 *
 * Packets are sent whole or not at all (DF set, no path MTU kept by the kernel).
 *
 *   asked for                 AF_XDP there?  outcome
 *   XDP                       yes            raw
 *   XDP                       no             kernel sockets; CxPlatSocketRawSocketAvailable: FALSE
 *   CIBIR server, XDP         yes            raw, the port shared by identifier
 *   CIBIR server, else                       kernel sockets, steered by identifier; where steering
 *                                            cannot be had, alone on its port, or refused
 *   CIBIR client                             as without CIBIR
 *   QTIP                      no             INVALID_STATE
 *   anything, in map mode     yes            raw; a local port must be given, and by a client a
 *                                            local IP too, else INVALID_PARAMETER
 *
 * Threads   passive, a worker too
 * Blocks    for system calls
 * Up-calls  of this socket may begin, on other threads, before the call returns; *Socket is
 *           written before the first one does
 * Status    SUCCESS; ADDRESS_IN_USE: somebody has the port, and core's retries look for this very
 *           code; INVALID_ADDRESS: an IPv4 local with an IPv6 remote address; INVALID_STATE;
 *           INVALID_PARAMETER; NOT_SUPPORTED: CIBIR on a port that cannot be steered;
 *           OUT_OF_MEMORY; else the errno of the system call (EADDRNOTAVAIL, EACCES, ...)
 */
QUIC_STATUS CxPlatSocketCreateUdp(
    CXPLAT_DATAPATH *Datapath, const CXPLAT_UDP_CONFIG *Config, CXPLAT_SOCKET **Socket);

/* MsQuic's, imported: takes what a PCP socket receives. PCP sockets never hear of Unreachable. */
CXPLAT_DATAPATH_RECEIVE_CALLBACK CxPlatPcpRecvCallback;

/*
 * Makes a TCP socket and starts to connect it. It is bound on return, so its port can be asked for;
 * Connect tells the outcome. It lives on the partition of the current processor. Closing it resets
 * the connection.
 *
 * Threads   passive
 * Blocks    for system calls, not for the peer
 * Up-calls  as for UDP
 * Status    SUCCESS: connecting; OUT_OF_MEMORY; errno
 */
QUIC_STATUS CxPlatSocketCreateTcp(
    CXPLAT_DATAPATH *Datapath,
    const QUIC_ADDR *LocalAddress,
    const QUIC_ADDR *RemoteAddress,
    void *CallbackContext,
    CXPLAT_SOCKET **Socket);

/*
 * Makes a TCP listener on LocalAddress; NULL, or family UNSPEC, is [::]. Served by all partitions
 * on one port; what one of them accepts lives there.
 *
 * Threads   passive
 * Blocks    for system calls
 * Up-calls  as for UDP: Accept
 * Status    SUCCESS: listening; ADDRESS_IN_USE; OUT_OF_MEMORY; errno
 */
QUIC_STATUS CxPlatSocketCreateTcpListener(
    CXPLAT_DATAPATH *Datapath,
    const QUIC_ADDR *LocalAddress,
    void *CallbackContext,
    CXPLAT_SOCKET **Socket);

/*
 * Deletes a socket of any kind. On return none of its up-calls is running and none will come, its
 * ports are free and its rules gone. Unsent data is dropped without SendComplete. What core still
 * holds of received data stays good: it belongs to the datapath. A route resolution under way is
 * not taken back, its callback may still come.
 *
 * Threads   passive, a worker too; never inside an up-call of this socket
 * Blocks    for system calls and for up-calls of this socket that run on other threads
 * Up-calls  none
 */
void CxPlatSocketDelete(CXPLAT_SOCKET *Socket);

/*
 * The address and port the socket has: of a client the source address that its packets carry (raw
 * ones too), of a server the one it listens on. Scope 0.
 *
 * Threads: any, under core's locks. Blocks: no. Up-calls: none.
 */
void CxPlatSocketGetLocalAddress(CXPLAT_SOCKET *Socket, QUIC_ADDR *Address);

/*
 * The remote address the socket was made with; all zero if there was none.
 *
 * Threads: any, under core's locks. Blocks: no. Up-calls: none.
 */
void CxPlatSocketGetRemoteAddress(CXPLAT_SOCKET *Socket, QUIC_ADDR *Address);

/*
 * The largest IP packet the socket can send along Route: CXPLAT_MAX_MTU, 12 less where the route
 * uses QTIP. Never more, and never 0, which core takes for "not known".
 *
 * Threads: any. Blocks: no. Up-calls: none.
 */
uint16_t CxPlatSocketGetLocalMtu(CXPLAT_SOCKET *Socket, CXPLAT_ROUTE *Route);

/*
 * Whether the socket is raw, that is, not only kernel sockets.
 *
 * Threads: any, under core's locks. Blocks: no. Up-calls: none.
 */
BOOLEAN CxPlatSocketRawSocketAvailable(CXPLAT_SOCKET *Socket);

/*
 * Whether the socket was made with QTIP. Core does not share sockets that differ in it.
 *
 * Threads: any, under core's locks. Blocks: no. Up-calls: none.
 */
BOOLEAN CxPlatSocketGetQtipEnabled(CXPLAT_SOCKET *Socket);

/* ============================================================================================== *
 * 6. Receiving
 * ============================================================================================== */

/* Which kind of socket a route, a received datagram or a send belongs to. */
typedef enum CXPLAT_DATAPATH_TYPE {
    CXPLAT_DATAPATH_TYPE_UNKNOWN = 0,
    CXPLAT_DATAPATH_TYPE_NORMAL = 1,
    CXPLAT_DATAPATH_TYPE_RAW = 2
} CXPLAT_DATAPATH_TYPE;

/*
 * A received datagram, or a piece of a TCP stream of any length that fits.
 *
 * Core lays a structure of its own over each element. It may write
 * sizeof(CXPLAT_RECV_DATA) + ClientRecvContextLength bytes from the element's start, which is
 * aligned to 16, and all of Buffer and *Route. It takes chains apart, reorders and joins them.
 *
 * *Route is the element's own and tells where it came from: RemoteAddress is the sender,
 * LocalAddress the destination IP of the packet with the socket's port (equal, for a client, to
 * CxPlatSocketGetLocalAddress, or core drops it) and the interface it arrived on as scope; State is
 * resolved, Queue and DatapathType say how it came. A raw one also has LocalLinkLayerAddress and
 * NextHopLinkLayerAddress, from the frame's destination and source, UseQTIP and TcpState. TCP
 * leaves both addresses zero.
 *
 * Empty and truncated datagrams, and those with control data missing, are dropped. All segments of
 * a coalesced read are delivered, each as an element.
 */
struct CXPLAT_RECV_DATA {
    struct CXPLAT_RECV_DATA *Next; /* NULL ends the chain */
    CXPLAT_ROUTE *Route;
    uint8_t *Buffer;
    uint16_t BufferLength;   /* 1 to 65507 */
    uint16_t PartitionIndex; /* of the worker that is to have it, below the pool's count; core
                              * moves the connection there. Raw: not always the one that calls,
                              * nor the same one in a chain */
    uint8_t TypeOfService;   /* traffic class byte; TCP: 0 */
    uint8_t HopLimitTTL;     /* 1 to 255; TCP: 0 */
    __extension__ uint16_t Allocated : 1;          /* 1 while core has it */
    __extension__ uint16_t QueuedOnConnection : 1; /* core's, 0 on delivery */
    __extension__ uint16_t DatapathType : 2;       /* CXPLAT_DATAPATH_TYPE, as in the route */
    __extension__ uint16_t Reserved : 4;           /* the archive's until delivery */
    __extension__ uint16_t ReservedEx : 8;         /* the archive's until delivery */
};

/*
 * Takes received data back: any elements in any order, from different up-calls, sockets, kinds and
 * partitions in one chain, seconds later or inside the up-call, after their socket is deleted too.
 * NULL does nothing. Each element is looked at by itself.
 *
 * Threads: any. Blocks: no. Up-calls: none.
 */
void CxPlatRecvDataReturn(CXPLAT_RECV_DATA *RecvDataChain);

/* ============================================================================================== *
 * 7. Sending
 *
 * A send is a batch of datagrams for one remote address: allocate it, fill buffers one after the
 * other, give it to CxPlatSocketSend. A buffer is open until the next CxPlatSendDataAllocBuffer,
 * CxPlatSendDataIsFull or CxPlatSocketSend commits it, with the Length it then has; Length may have
 * been lowered, and 0 throws the buffer away. Committed bytes do not move, and core still writes to
 * them until CxPlatSocketSend (it encrypts the headers of several datagrams together): before that
 * nothing is copied, summed or sent.
 * ============================================================================================== */

typedef enum CXPLAT_SEND_FLAGS {
    CXPLAT_SEND_FLAGS_NONE = 0,
    CXPLAT_SEND_FLAGS_MAX_THROUGHPUT = 1 /* a hint */
} CXPLAT_SEND_FLAGS;

typedef struct CXPLAT_SEND_CONFIG {
    CXPLAT_ROUTE *Route;
    uint16_t MaxPacketSize; /* of a datagram; 0 = the send is a single one, of any size */
    uint8_t ECN;            /* CXPLAT_ECN_TYPE */
    uint8_t Flags;          /* CXPLAT_SEND_FLAGS */
    uint8_t DSCP;           /* 0 to CXPLAT_MAX_DSCP */
} CXPLAT_SEND_CONFIG;

/*
 * Makes a send. UDP has MaxPacketSize up to MAX_UDP_PAYLOAD_LENGTH; TCP any, its buffers are one
 * stretch of the stream. The send is raw if the route is, or is UNKNOWN and the socket raw and the
 * remote no loopback address, and a queue can be had; else normal. The choice is written to
 * Route->DatapathType, and Route->Queue filled in if it is NULL or not of this socket. NULL when
 * memory or frames are short: core keeps its data and tries again.
 *
 * Threads: any. Blocks: no. Up-calls: none.
 */
CXPLAT_SEND_DATA *CxPlatSendDataAlloc(CXPLAT_SOCKET *Socket, CXPLAT_SEND_CONFIG *Config);

/*
 * The next buffer of a send: MaxBufferLength bytes (over 0), with Length set to that. It belongs to
 * the send. NULL if it does not fit: it is longer than MaxPacketSize; MaxPacketSize is 0 and there
 * is a committed one; padding is preferred and the last committed one was shorter than
 * MaxPacketSize; all would pass 65507 bytes; or the batch is full.
 *
 * Threads: the send's user, any class. Blocks: no. Up-calls: none.
 */
QUIC_BUFFER *CxPlatSendDataAllocBuffer(CXPLAT_SEND_DATA *SendData, uint16_t MaxBufferLength);

/*
 * Takes the open buffer back, as if it had never been asked for. The others stay.
 *
 * Threads: the send's user, any class. Blocks: no. Up-calls: none.
 */
void CxPlatSendDataFreeBuffer(CXPLAT_SEND_DATA *SendData, QUIC_BUFFER *Buffer);

/*
 * Whether no further buffer of the full size would fit: core then sends.
 *
 * Threads: the send's user, any class. Blocks: no. Up-calls: none.
 */
BOOLEAN CxPlatSendDataIsFull(CXPLAT_SEND_DATA *SendData);

/*
 * Drops a send and its buffers, instead of CxPlatSocketSend.
 *
 * Threads: the send's user, any class. Blocks: no. Up-calls: none.
 */
void CxPlatSendDataFree(CXPLAT_SEND_DATA *SendData);

/*
 * TRUE: core pads all datagrams of the send but the last to full size, so that they can go out as
 * segments of one. FALSE: each has its own length. Raw sends answer FALSE.
 *
 * Threads: any. Blocks: no. Up-calls: none.
 */
BOOLEAN CxPlatDataPathIsPaddingPreferred(CXPLAT_DATAPATH *Datapath, CXPLAT_SEND_DATA *SendData);

/*
 * Sends, and takes SendData in every case. The addresses are those of this Route, which may be
 * another one than at the allocation; it is borrowed. A socket that is not connected sends from
 * Route->LocalAddress, wildcard = the kernel's choice, out of the interface in its scope.
 *
 * What the kernel does not take now is queued on the socket, and everything later behind it. Other
 * errors lose the data silently, as a network would: too big, no buffers, no route. Where the
 * kernel refuses segmentation, the batch goes out again as single datagrams. A raw send needs a
 * route that is resolved.
 *
 * Threads   any
 * Blocks    no
 * Up-calls  UDP: Unreachable; TCP: SendComplete
 */
void CxPlatSocketSend(CXPLAT_SOCKET *Socket, const CXPLAT_ROUTE *Route, CXPLAT_SEND_DATA *SendData);

/* ============================================================================================== *
 * 8. Routes
 *
 * A route is how packets get to a peer. Core has one in every path of a connection, and moves paths
 * about: a pointer to one holds during the call. It starts as zeros with addresses, is resolved
 * before the first packet, and falls back to RouteSuspected when congestion persists, or to
 * RouteUnresolved, Queue NULL, DatapathType unchanged, when the local address changes. While it is
 * RouteResolving core sends nothing on that path.
 * ============================================================================================== */

typedef enum CXPLAT_ROUTE_STATE {
    RouteUnresolved = 0,
    RouteResolving = 1,
    RouteSuspected = 2,
    RouteResolved = 3
} CXPLAT_ROUTE_STATE;

/* QTIP: the constant numbers in the TCP headers of a flow. Network byte order. */
typedef struct CXPLAT_RAW_TCP_STATE {
    BOOLEAN Syncd;
    uint32_t AckNumber;
    uint32_t SequenceNumber;
} CXPLAT_RAW_TCP_STATE;

struct CXPLAT_ROUTE {
    CXPLAT_QUEUE *Queue; /* the archive's: which kernel socket or AF_XDP queue */
    QUIC_ADDR RemoteAddress;
    QUIC_ADDR LocalAddress;
    uint8_t LocalLinkLayerAddress[6];
    uint8_t NextHopLinkLayerAddress[6];
    __extension__ uint16_t DatapathType : 15; /* CXPLAT_DATAPATH_TYPE */
    __extension__ uint8_t UseQTIP : 1;
    CXPLAT_ROUTE_STATE State; /* QuicCopyRouteInfo copies a raw route up to here */
    CXPLAT_RAW_TCP_STATE TcpState;
};

/*
 * The end of a resolution that was PENDING, or of one that failed. With Succeeded, PhysicalAddress
 * points to the six bytes of the next hop's MAC for the duration of the call; without, it is NULL.
 * Core gives up its reference to the connection in here, so it is called exactly once or not at
 * all, as CxPlatResolveRoute says.
 */
typedef void(CXPLAT_ROUTE_RESOLUTION_CALLBACK)(
    void *Context, const uint8_t *PhysicalAddress, uint8_t PathId, BOOLEAN Succeeded);
typedef CXPLAT_ROUTE_RESOLUTION_CALLBACK *CXPLAT_ROUTE_RESOLUTION_CALLBACK_HANDLER;

/*
 * Makes a route ready to send on. A normal one just becomes resolved. A raw one gets its local
 * address, local MAC and queue at once, written before the call returns, and the next hop's MAC
 * from the neighbour table, at once or later. A route that was suspected is verified anew; if the
 * best local address has changed, it fails. A server's route that has queue and MAC from a received
 * packet is resolved with these. Where no interface with AF_XDP leads to the peer, the route
 * becomes normal, except with QTIP. On a connected socket UseQTIP is set to what the socket has.
 *
 * Threads   passive; the connection's worker
 * Blocks    for system calls
 * Up-calls  see Status. A PENDING one comes on any thread, not before the call has returned, and
 *           perhaps after the socket's delete
 * Status    SUCCESS: resolved, Callback is not called; PENDING: State is RouteResolving, Callback
 *           once, later; a failure: Callback with FALSE once, inside the call: INVALID_STATE (local
 *           address changed), NOT_FOUND (QTIP without a way), OUT_OF_MEMORY, errno
 */
QUIC_STATUS CxPlatResolveRoute(
    CXPLAT_SOCKET *Socket,
    CXPLAT_ROUTE *Route,
    uint8_t PathId,
    void *Context,
    CXPLAT_ROUTE_RESOLUTION_CALLBACK_HANDLER Callback);

/*
 * What core calls after a resolution was PENDING and succeeded: stores the MAC and marks the route
 * resolved, unless it is already. The route is not normal. Context may be NULL.
 *
 * Threads: any. Blocks: no. Up-calls: none.
 */
void CxPlatResolveRouteComplete(
    void *Context, CXPLAT_ROUTE *Route, const uint8_t *PhysicalAddress, uint8_t PathId);

/*
 * Called with each received datagram's route: learns TcpState from the first raw one. Syncd is set,
 * AckNumber becomes the packet's SequenceNumber - 1 and SequenceNumber its AckNumber + 1. No effect
 * on a route that is in step, or from a normal one.
 *
 * Threads: any. Blocks: no. Up-calls: none.
 */
void CxPlatUpdateRoute(CXPLAT_ROUTE *DstRoute, CXPLAT_ROUTE *SrcRoute);

/*
 * Starts a path with a received datagram's route. A normal one is copied whole, with its state. Of
 * a raw one State stays as it is and TcpState is learned; the rest is copied. SrcRoute is not of
 * type UNKNOWN.
 *
 * Threads: any. Blocks: no. Up-calls: none.
 */
void QuicCopyRouteInfo(CXPLAT_ROUTE *DstRoute, CXPLAT_ROUTE *SrcRoute);

/* ============================================================================================== *
 * 9. Addresses of the host, offloads, statistics
 *
 * The queries of local and gateway addresses and of RSS may answer NOT_SUPPORTED. Core does without
 * them; its tests accept that.
 * ============================================================================================== */

/*
 * Resolves a host name, or an address in numbers, to the first address found, by the host's own
 * rules (/etc/hosts too). Address comes with the family wanted, or UNSPEC, and is written whole,
 * with port 0.
 *
 * Threads   passive; Datapath may be NULL
 * Blocks    yes, as long as the resolver takes
 * Up-calls  none
 * Status    SUCCESS; NOT_FOUND, for whatever reason; OUT_OF_MEMORY
 */
QUIC_STATUS CxPlatDataPathResolveAddress(
    CXPLAT_DATAPATH *Datapath, const char *HostName, QUIC_ADDR *Address);

/* As in RFC 2863. */
typedef enum CXPLAT_OPERATION_STATUS {
    CXPLAT_OPERATION_STATUS_UP = 1,
    CXPLAT_OPERATION_STATUS_DOWN = 2,
    CXPLAT_OPERATION_STATUS_TESTING = 3,
    CXPLAT_OPERATION_STATUS_UNKNOWN = 4,
    CXPLAT_OPERATION_STATUS_DORMANT = 5,
    CXPLAT_OPERATION_STATUS_NOT_PRESENT = 6,
    CXPLAT_OPERATION_STATUS_LOWER_LAYER_DOWN = 7
} CXPLAT_OPERATION_STATUS;

#define CXPLAT_IF_TYPE_SOFTWARE_LOOPBACK 24

typedef struct CXPLAT_ADAPTER_ADDRESS {
    QUIC_ADDR Address;
    uint32_t InterfaceIndex;
    uint16_t InterfaceType; /* IANA ifType */
    CXPLAT_OPERATION_STATUS OperationStatus;
} CXPLAT_ADAPTER_ADDRESS;

/*
 * The addresses of this host, in one array from CxPlatAlloc that the caller frees with the tag
 * QUIC_POOL_DATAPATH_ADDRESSES. Whoever gets them binds sockets to their InterfaceIndex.
 *
 * Threads   passive; Datapath may be NULL
 * Blocks    for system calls
 * Up-calls  none
 * Status    SUCCESS; NOT_SUPPORTED, OUT_OF_MEMORY, errno: *Addresses NULL, *AddressesCount 0
 */
QUIC_STATUS CxPlatDataPathGetLocalAddresses(
    CXPLAT_DATAPATH *Datapath, CXPLAT_ADAPTER_ADDRESS **Addresses, uint32_t *AddressesCount);

/*
 * The local address from which RemoteAddress would be reached. MsQuic has it since after v2.6.0.
 *
 * Threads   passive
 * Blocks    for system calls
 * Up-calls  none
 * Status    SUCCESS; NOT_SUPPORTED; errno
 */
QUIC_STATUS CxPlatDataPathGetLocalAddressForRemote(
    const QUIC_ADDR *RemoteAddress, QUIC_ADDR *LocalAddress);

/*
 * The addresses of the gateways, at least one, owned as those of CxPlatDataPathGetLocalAddresses.
 *
 * Threads   passive; Datapath may be NULL
 * Blocks    for system calls
 * Up-calls  none
 * Status    SUCCESS; NOT_SUPPORTED, NOT_FOUND, OUT_OF_MEMORY, errno: outputs NULL and 0
 */
QUIC_STATUS CxPlatDataPathGetGatewayAddresses(
    CXPLAT_DATAPATH *Datapath, QUIC_ADDR **GatewayAddresses, uint32_t *GatewayAddressesCount);

typedef enum CXPLAT_RSS_HASH_TYPE {
    CXPLAT_RSS_HASH_TYPE_IPV4 = 0x001,
    CXPLAT_RSS_HASH_TYPE_TCP_IPV4 = 0x002,
    CXPLAT_RSS_HASH_TYPE_UDP_IPV4 = 0x004,
    CXPLAT_RSS_HASH_TYPE_IPV6 = 0x008,
    CXPLAT_RSS_HASH_TYPE_TCP_IPV6 = 0x010,
    CXPLAT_RSS_HASH_TYPE_UDP_IPV6 = 0x020,
    CXPLAT_RSS_HASH_TYPE_IPV6_EX = 0x040,
    CXPLAT_RSS_HASH_TYPE_TCP_IPV6_EX = 0x080,
    CXPLAT_RSS_HASH_TYPE_UDP_IPV6_EX = 0x100
} CXPLAT_RSS_HASH_TYPE;

typedef struct CXPLAT_RSS_CONFIG {
    CXPLAT_RSS_HASH_TYPE HashTypes;
    uint32_t RssSecretKeyLength; /* bytes */
    uint32_t RssIndirectionTableCount;
    uint8_t *RssSecretKey;
    uint32_t
        *RssIndirectionTable; /* processor numbers; queue i of the interface is processor i's */
} CXPLAT_RSS_CONFIG;

/*
 * How an interface spreads packets over processors, as its driver tells ethtool: one block, key and
 * table inside, that CxPlatDataPathRssConfigFree frees. The table is looked up by the low bits of a
 * Toeplitz hash; of an interface that does otherwise, or tells nothing, the answer is NOT_SUPPORTED.
 *
 * Threads   passive
 * Blocks    for system calls
 * Up-calls  none
 * Status    SUCCESS; NOT_SUPPORTED, also for loopback; NOT_FOUND; OUT_OF_MEMORY
 */
QUIC_STATUS CxPlatDataPathRssConfigGet(uint32_t InterfaceIndex, CXPLAT_RSS_CONFIG **RssConfig);

/* Threads: passive. Blocks: no. Up-calls: none. */
void CxPlatDataPathRssConfigFree(CXPLAT_RSS_CONFIG *RssConfig);

typedef enum CXPLAT_QEO_OPERATION {
    CXPLAT_QEO_OPERATION_ADD = 0,
    CXPLAT_QEO_OPERATION_REMOVE = 1
} CXPLAT_QEO_OPERATION;

typedef enum CXPLAT_QEO_DIRECTION {
    CXPLAT_QEO_DIRECTION_TRANSMIT = 0,
    CXPLAT_QEO_DIRECTION_RECEIVE = 1
} CXPLAT_QEO_DIRECTION;

typedef enum CXPLAT_QEO_DECRYPT_FAILURE_ACTION {
    CXPLAT_QEO_DECRYPT_FAILURE_ACTION_DROP = 0,
    CXPLAT_QEO_DECRYPT_FAILURE_ACTION_CONTINUE = 1
} CXPLAT_QEO_DECRYPT_FAILURE_ACTION;

typedef enum CXPLAT_QEO_CIPHER_TYPE {
    CXPLAT_QEO_CIPHER_TYPE_AEAD_AES_128_GCM = 0,
    CXPLAT_QEO_CIPHER_TYPE_AEAD_AES_256_GCM = 1,
    CXPLAT_QEO_CIPHER_TYPE_AEAD_CHACHA20_POLY1305 = 2,
    CXPLAT_QEO_CIPHER_TYPE_AEAD_AES_128_CCM = 3
} CXPLAT_QEO_CIPHER_TYPE;

typedef struct CXPLAT_QEO_CONNECTION {
    uint32_t Operation : 1;            /* CXPLAT_QEO_OPERATION */
    uint32_t Direction : 1;            /* CXPLAT_QEO_DIRECTION */
    uint32_t DecryptFailureAction : 1; /* CXPLAT_QEO_DECRYPT_FAILURE_ACTION */
    uint32_t KeyPhase : 1;
    uint32_t RESERVED : 12;
    uint32_t CipherType : 16; /* CXPLAT_QEO_CIPHER_TYPE */
    uint64_t NextPacketNumber;
    QUIC_ADDR Address;
    uint8_t ConnectionIdLength;
    uint8_t ConnectionId[20];
    uint8_t PayloadKey[32];
    uint8_t HeaderKey[32];
    uint8_t PayloadIv[12];
} CXPLAT_QEO_CONNECTION;

/*
 * Gives connections' keys to a network card that encrypts. Nothing is kept of them.
 *
 * Threads   passive
 * Blocks    no
 * Up-calls  none
 * Status    NOT_SUPPORTED
 */
QUIC_STATUS CxPlatSocketUpdateQeo(
    CXPLAT_SOCKET *Socket, const CXPLAT_QEO_CONNECTION *Offloads, uint32_t OffloadCount);

typedef struct CXPLAT_TCP_STATISTICS {
    uint32_t Mss;
    uint64_t ConnectionTimeMs;
    BOOLEAN TimestampsEnabled;
    uint32_t RttUs;
    uint32_t MinRttUs;
    uint32_t BytesInFlight;
    uint32_t Cwnd;
    uint32_t SndWnd;
    uint32_t RcvWnd;
    uint32_t RcvBuf;
    uint64_t BytesOut;
    uint64_t BytesIn;
    uint32_t BytesReordered;
    uint32_t BytesRetrans;
    uint32_t FastRetrans;
    uint32_t DupAcksIn;
    uint32_t TimeoutEpisodes;
    uint8_t SynRetrans;
    uint32_t SndLimTransRwin;
    uint32_t SndLimTimeRwin;
    uint64_t SndLimBytesRwin;
    uint32_t SndLimTransCwnd;
    uint32_t SndLimTimeCwnd;
    uint64_t SndLimBytesCwnd;
    uint32_t SndLimTransSnd;
    uint32_t SndLimTimeSnd;
    uint64_t SndLimBytesSnd;
} CXPLAT_TCP_STATISTICS;

/*
 * The kernel's figures for a TCP socket.
 *
 * Threads   any
 * Blocks    no
 * Up-calls  none
 * Status    SUCCESS; NOT_SUPPORTED
 */
QUIC_STATUS CxPlatSocketGetTcpStatistics(CXPLAT_SOCKET *Socket, CXPLAT_TCP_STATISTICS *Statistics);

#ifdef __cplusplus
}
#endif

#endif /* MSQUICXDP_CXPLAT_H */
