/* SPDX-License-Identifier: MIT */
/*
 * batch.h - the blocks of memory that the C lane (capi/) and the Go datapath both see.
 *
 * Everything here lives in C memory at a stable address. C allocates and frees it; Go borrows it for
 * the length of one call and keeps no pointer beyond it, except that a send block stays linked in its
 * endpoint's transmit queue until Go hands it back. No field ever holds a Go pointer.
 *
 * The Go side mirrors these layouts in batch.go; capi/layout.go asserts at compile time that both
 * agree, so neither can drift.
 *
 * Addresses are QUIC_ADDR (28 bytes): ports in network byte order, the interface index of an IPv4
 * address in the bytes that hold an IPv6 scope id.
 */
#ifndef MSQUICXDP_BATCH_H
#define MSQUICXDP_BATCH_H

#include <stdint.h>
#include <sys/socket.h>

#include "msquicxdp/cxplat.h"

enum {
    MQX_RX_BATCH = 8,      /* messages asked of one recvmmsg */
    MQX_RX_LENT = 16,      /* blocks lent to a turn: a message of up to 128 segments needs two */
    MQX_RX_SLOTS = 64,     /* datagrams that one block can describe: what the kernel's GRO merges */
    MQX_RX_CONTROL = 128,  /* pktinfo, traffic class, hop limit and UDP_GRO together need 112 */
    MQX_DELIVERIES = 64,   /* sockets that one turn of a queue receives for */
    MQX_TX_SEGMENTS = 64,  /* the kernel's limit for one UDP_SEGMENT send before Linux 6.9 */
    MQX_TX_CONTROL = 96,   /* traffic class, pktinfo and UDP_SEGMENT together need 88 */
    MQX_IO_BUFFER = 65536, /* one super-frame; UDP can carry 65507 bytes */
    MQX_UDP_PAYLOAD = 65507, /* the most that one datagram, or super-frame, carries */
    MQX_REASON = 512,        /* a sentence for people, NUL terminated */
    MQX_LIST = 512           /* names of interfaces, NUL terminated */
};

/* What an endpoint is. A queue is one receive queue of an interface, and the datapath's AF_XDP socket on it. */
enum {
    MQX_KIND_UDP = 1,
    MQX_KIND_TCP = 2,
    MQX_KIND_TCP_LISTENER = 3,
    MQX_KIND_QUEUE = 4,
    MQX_KIND_ANSWERS = 5
};

/* Returned by a send that now waits in the endpoint's transmit queue. */
enum { MQX_SEND_QUEUED = -1 };

typedef struct MqxPool MqxPool; /* capi/pool.h */

/* The most endpoints of a listener that shares its port: what steering.MaxSockets says. */
enum { MQX_CIBIR_SOCKETS = 64 };

/* A listener's CIBIR identifier, and where it sits in a connection ID (package cibir). */
typedef struct MqxCibir {
    uint8_t Length; /* bytes of Id; 0: no CIBIR */
    uint8_t SourceOffset;
    uint8_t DestinationOffset;
    uint8_t Id[6];
} MqxCibir;

/*
 * One datagram of a receive block. The client's context bytes follow Data; Route is beside it, so that few
 * cache lines are written for a datagram.
 */
typedef struct MqxRxSlot {
    CXPLAT_ROUTE Route;
    struct MqxRx *Block;
    uint64_t Reserved;
    CXPLAT_RECV_DATA Data;
} MqxRxSlot;

/*
 * A receive block: the buffer that one message was read into, and the slots that describe its datagrams.
 * It returns to its pool when every datagram that was delivered from it has been returned.
 */
typedef struct MqxRx {
    struct MqxRx *Next; /* free list */
    MqxPool *Pool;
    uint32_t Pending; /* datagrams delivered and not yet returned; atomic, C only after delivery */
    uint32_t Stride;  /* bytes from one slot to the next */
    uint8_t *Slots;   /* MQX_RX_SLOTS slots */
    uint8_t *Buffer;  /* MQX_IO_BUFFER bytes */
    struct iovec Iov; /* {Buffer, MQX_IO_BUFFER} */
    QUIC_ADDR From;   /* where the kernel writes the sender */
    uint32_t Reserved;
    uint8_t Control[MQX_RX_CONTROL];
} MqxRx;

/* What a turn of a queue received for one socket. */
typedef struct MqxDelivery {
    void *
        Queue; /* the first endpoint of the socket, as in CXPLAT_ROUTE.Queue: it may be gone by now */
    CXPLAT_RECV_DATA *Chain;
} MqxDelivery;

/*
 * One turn of one endpoint: what a worker's wake-up asks of Go, and what it gets back. Turns belong to
 * a partition and are reused; blocks that a turn did not take stay in it for the next one.
 */
typedef struct MqxTurn {
    struct mmsghdr Message[MQX_RX_BATCH]; /* Message[i] reads into Block[i] */
    MqxRx *Block[MQX_RX_LENT];            /* lent; NULL where memory was short */
    CXPLAT_RECV_DATA *Chain;              /* out: received datagrams, in order of arrival */
    MqxDelivery Delivery[MQX_DELIVERIES]; /* out, queue: the same by socket, instead of Chain */
    struct CXPLAT_SEND_DATA *Done;        /* out: sends that left the queue, to complete and free */
    uint32_t Events;                      /* in: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP */
    uint32_t Taken;                       /* out: bit i: Block[i] now belongs to the chain */
    uint32_t Datagrams;                   /* out: elements of the chain */
    uint32_t Bytes;                       /* out: their payload */
    uint32_t Dropped;     /* out: messages or segments that could not be delivered */
    int32_t Error;        /* out: errno of the socket: unreachable, reset; 0 if none */
    uint8_t More;         /* out: there may be more to read, call again */
    uint8_t Connected;    /* out, TCP: the connection is now established */
    uint8_t Disconnected; /* out, TCP: it is over; said once */
    uint8_t Deliveries;   /* out, queue: how many Delivery holds */
    uint8_t Reserved[4];
} MqxTurn;

/*
 * An endpoint: one kernel socket, watched by one event queue. A CXPLAT_SOCKET has one, or one for
 * each partition. C fills the first part before opening; the rest belongs to Go.
 */
typedef struct MqxEndpoint {
    void *Sqe;      /* what epoll must give back: the CXPLAT_SQE of the endpoint */
    void *Queue;    /* the value for CXPLAT_ROUTE.Queue */
    int32_t EventQ; /* epoll file descriptor */
    uint16_t Partition;
    uint16_t Cpu; /* ideal processor of the partition */

    int32_t Fd;      /* -1: not open */
    int32_t SpareFd; /* listeners: kept so that a full descriptor table cannot wedge accept */
    uint8_t Kind;
    uint8_t IsConnected; /* UDP: connect() was done; sends to Remote need no address */
    uint8_t IsV4;        /* the kernel socket is AF_INET, else AF_INET6 with V6ONLY off */
    uint8_t Batch;       /* messages to ask for next, see receive.go */
    uint32_t Segment;    /* atomic: UDP_SEGMENT may be used; cleared when a device refuses it */
    uint32_t TcpState;   /* atomic; changes under Lock */
    uint32_t Events;     /* registered with epoll, under Lock */
    QUIC_ADDR Local;     /* un-mapped */
    QUIC_ADDR Remote;    /* as the kernel socket knows it: IPv4-mapped on an AF_INET6 socket */

    uint32_t Lock[2]; /* a sync.Mutex */
    struct CXPLAT_SEND_DATA *QueueHead;
    struct CXPLAT_SEND_DATA *QueueTail;
    uint32_t Queued;  /* atomic: sends in the queue */
    uint32_t Watched; /* registered with the event queue, under Lock */

    MqxCibir Cibir;      /* of a listener that shares its port: what it receives */
    uint8_t KernelSends; /* of a queue: kernel sockets send what could leave by it */
    uint8_t Reserved[6];
    uint64_t Lease; /* Go's: the claim on a port, of a listener in its last endpoint; 0: none */
} MqxEndpoint;

/* A send block. MsQuic writes datagrams into Data; they leave with one system call where possible. */
typedef struct CXPLAT_SEND_DATA {
    struct CXPLAT_SEND_DATA *Next; /* free list, transmit queue, or Done list */
    MqxPool *Pool;
    struct MqxSlot *Slot;  /* the endpoint chosen at allocation; C only */
    CXPLAT_SOCKET *Socket; /* C only */
    QUIC_BUFFER Open;      /* the buffer in the caller's hands; Length 0: none */

    uint32_t Total; /* committed bytes */
    uint32_t Sent;  /* TCP: bytes sent; UDP: datagrams sent one by one after segmentation failed */
    uint16_t Segment; /* what the kernel may cut by: bytes of every datagram but the last, or 0 */
    uint16_t Max;     /* most bytes in a buffer; 0: a single buffer of any size */
    uint16_t Asked;   /* bytes of the open buffer */
    uint16_t Count;   /* committed buffers */
    int32_t Status;   /* of a finished queued send: 0 or errno */
    uint8_t Tos;
    uint8_t Full; /* no further buffer fits */
    uint8_t Raw;  /* its route leads by AF_XDP, and Slot is the queue */
    uint8_t Reserved;

    QUIC_ADDR Remote;
    QUIC_ADDR Local;
    uint8_t LocalMac[6]; /* raw */
    uint8_t NextHopMac[6];
    struct msghdr Message; /* what sendmsg is given; Go's */
    struct iovec Iov;
    uint8_t Control[MQX_TX_CONTROL];
    uint16_t Length[MQX_TX_SEGMENTS];
    uint64_t Pad;
    uint8_t Data[MQX_IO_BUFFER] __attribute__((aligned(16)));
} MqxTx;

/* What a datapath may do with AF_XDP (options.c): msquicxdp_xdp_options and the environment together. */
typedef struct MqxXdpConfig {
    char Interfaces[MQX_LIST]; /* names with commas between them; empty: all */
    char Deny[MQX_LIST];
    uint8_t Policy; /* enum msquicxdp_xdp_policy, and so on; never a DEFAULT */
    uint8_t Attach;
    uint8_t ZeroCopy;
    uint8_t Transmit;
} MqxXdpConfig;

/* A way to a peer by AF_XDP: what is asked, and what is known of it. */
typedef struct MqxWay {
    QUIC_ADDR Remote;
    QUIC_ADDR Local;       /* in: the source wanted, or a wildcard; out: the source */
    uint8_t LocalMac[6];   /* out */
    uint8_t NextHopMac[6]; /* out */
    void *Queue;           /* out: the endpoint to send by, for CXPLAT_ROUTE.Queue */
    void *Callback;        /* in: what to call when a pending answer comes; C only */
    void *Context;         /* in: C only */
    uint8_t PathId;        /* in: C only */
    uint8_t Again;         /* in: do not trust what is known of the neighbour */
    uint8_t Found;         /* out, of a pending answer: the neighbour answered */
    uint8_t Unused;
    uint16_t Partition; /* in: of the socket that asks */
    uint8_t Reserved[2];
} MqxWay;

/* What MqxWay's question comes to. */
enum {
    MQX_WAY_KNOWN = 0,
    MQX_WAY_PENDING = -1, /* the answer comes as an event of the datapath's first partition */
    MQX_WAY_KERNEL = -2   /* not by AF_XDP: the kernel's sockets lead there */
};

/* By what a send on AF_XDP's route has left. */
enum {
    MQX_BY_QUEUE = 0,
    MQX_BY_KERNEL = 1, /* by a kernel socket, which is the quicker way */
    MQX_NO_ROOM = 2,   /* the same, since the queue had no room */
    MQX_NOT_TAKEN = 3, /* the same, since the queue cannot send it */
    MQX_SUBMITTED = 4  /* by the queue, at its next kick */
};

/* What opening a socket needs, and says. */
typedef struct MqxOpen {
    QUIC_ADDR Local;
    QUIC_ADDR Remote;
    MqxEndpoint **Endpoint; /* Count endpoints to open, all on one port */
    uint16_t Count;
    uint8_t Kind;
    uint8_t HasLocal;
    uint8_t HasRemote;
    uint8_t Share;    /* a client: SO_REUSEPORT */
    uint8_t Coalesce; /* UDP_GRO */
    uint8_t Steer;    /* choose the endpoint by the CPU that received */
    uint32_t InterfaceIndex;
    MqxCibir Cibir; /* of a listener */
    uint8_t Xdp;    /* AF_XDP was asked for */
    uint8_t Reserved[2];
    char Reason[MQX_REASON]; /* out: why it failed, or what a success falls short of */
} MqxOpen;

#endif
