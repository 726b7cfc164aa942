/* SPDX-License-Identifier: MIT */
/*
 * msquicxdp.h - what libmsquicxdp.a offers besides MsQuic's datapath interface.
 *
 * MsQuic needs none of this. A program that links the archive, directly or inside MsQuic, may ask
 * which version it runs on, why a call failed, and what was counted, and may listen to the log. The
 * archive is silent by default: without a hook it writes nothing anywhere.
 *
 * ERRORS    Functions return 0, or a negative errno: -EINVAL for a NULL or a wrong value, -E2BIG for
 *           an option that this version does not know.
 * THREADS   Every function may be called from any thread at any time, before the first datapath and
 *           after the last too. None blocks, none starts the Go runtime.
 * GROWTH    A struct that begins with `size` may grow at its end in later versions. Set it to
 *           sizeof the struct. Members that the library does not know must be zero (-E2BIG
 *           otherwise); members that the caller does not know are left out.
 *
 * In a process that holds the archive twice (a program and libmsquic.so, both linked with it) only
 * one copy is live, and these functions answer for it from both.
 */
#ifndef MSQUICXDP_H
#define MSQUICXDP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header: major << 16 | minor << 8 | patch. */
#define MSQUICXDP_VERSION_MAJOR 0
#define MSQUICXDP_VERSION_MINOR 1
#define MSQUICXDP_VERSION_PATCH 0
#define MSQUICXDP_VERSION                                                                          \
    ((uint32_t)MSQUICXDP_VERSION_MAJOR << 16 | (uint32_t)MSQUICXDP_VERSION_MINOR << 8 |            \
     (uint32_t)MSQUICXDP_VERSION_PATCH)

/* The version of the library, as MSQUICXDP_VERSION. */
uint32_t msquicxdp_version(void);

/*
 * Why the last call of this thread that returned a failure did so: one sentence, NUL terminated,
 * cut to fit into len bytes. It names the operation, its arguments, the errno, what to change, and
 * where it is known the holder of a port. Empty when nothing has failed on this thread.
 *
 * Returns the length of the whole sentence without the NUL, as snprintf does. buf may be NULL when
 * len is 0.
 */
size_t msquicxdp_last_reason(char *buf, size_t len);

enum msquicxdp_level {
    MSQUICXDP_LEVEL_NONE = 0,
    MSQUICXDP_LEVEL_ERROR = 1,   /* a call failed, or traffic is lost */
    MSQUICXDP_LEVEL_WARNING = 2, /* something asked for is had in another way, or not at all */
    MSQUICXDP_LEVEL_INFO = 3     /* datapaths and sockets come and go */
};

/*
 * Receives one line of log, without a newline, valid during the call. Called on the thread that the
 * message is about, never inside another call of itself on that thread, with no lock held. It must
 * not block, and may call the functions of this header.
 */
typedef void msquicxdp_log_fn(void *context, enum msquicxdp_level level, const char *message);

struct msquicxdp_log_options {
    size_t size;
    msquicxdp_log_fn *log; /* NULL: silence */
    void *context;
    enum msquicxdp_level level; /* the least important level wanted */
    uint32_t reserved;          /* zero */
};

/*
 * Sets the log hook of the process, or with NULL removes it. Calls of the previous hook that other
 * threads have begun may still be running on return.
 */
int msquicxdp_set_log(const struct msquicxdp_log_options *options);

/*
 * What all datapaths of the process have done since it started. Every number only grows. They are
 * read without stopping anybody, so two of them may be a few datagrams apart.
 */
struct msquicxdp_counters {
    size_t size;
    uint64_t rx_turns;        /* times that Go was entered to receive */
    uint64_t rx_datagrams;    /* delivered to MsQuic; for TCP chunks of the stream */
    uint64_t rx_bytes;        /* their payload */
    uint64_t rx_dropped;      /* arrived and not delivered: truncated, or without needed metadata */
    uint64_t tx_batches;      /* times that Go was entered to send */
    uint64_t tx_datagrams;    /* datagrams, for TCP buffers, given to the kernel or queued */
    uint64_t tx_bytes;        /* their payload */
    uint64_t tx_queued;       /* batches that had to wait for room in the kernel */
    uint64_t tx_failed;       /* batches that the kernel refused */
    uint64_t unreachable;     /* Unreachable up-calls */
    uint64_t sockets_opened;  /* UDP, TCP and listeners */
    uint64_t sockets_refused; /* creations that failed */
    uint64_t sockets_live;    /* open now; the only number that can fall */
    uint64_t block_allocs; /* receive and send blocks newly allocated; constant in steady state */
    uint64_t xdp_unavailable;  /* sockets that asked for XDP and got kernel sockets */
    uint64_t xdp_rx_datagrams; /* of rx_datagrams: received by AF_XDP */
    uint64_t xdp_tx_datagrams; /* of tx_datagrams: sent by AF_XDP */
    uint64_t xdp_tx_kernel;    /* batches that kernel sockets sent, as the quicker way */
    uint64_t xdp_tx_no_room;   /* the same, since a queue had no room */
    uint64_t xdp_tx_not_taken; /* the same, since a queue cannot send them */
    uint64_t xdp_no_route;     /* ways asked for on which AF_XDP does not lead to the peer */
    uint64_t xdp_tx_kicks;     /* times that the kernel was told to send what AF_XDP queues had */
};

/* Fills in *counters, as far as counters->size reaches. */
int msquicxdp_get_counters(struct msquicxdp_counters *counters);

/*
 * What the kernel has counted of the interfaces and receive queues that the datapaths of the process
 * serve by AF_XDP now. An interface's packets are those of all processes that share it, since its XDP
 * program was made. All is zero while no interface is served.
 */
struct msquicxdp_xdp_counters {
    size_t size;
    /* What became of an interface's packets: to an AF_XDP socket, or to the kernel because of this. */
    uint64_t redirected;
    uint64_t not_ip;
    uint64_t vlan_tag;
    uint64_t malformed;
    uint64_t ip_fragment;
    uint64_t ipv6_extension;
    uint64_t not_udp;
    uint64_t no_rule;            /* for the port */
    uint64_t not_local;          /* for an address that this host does not have */
    uint64_t too_long;           /* for a frame */
    uint64_t too_short;          /* for a QUIC header with an identifier */
    uint64_t no_identifier;      /* the connection ID ends before it */
    uint64_t unknown_identifier; /* nobody's */
    uint64_t paused;             /* the queue was */
    uint64_t no_socket;          /* its member has none for the queue */
    /* Of the sockets of this process, since they were made: XDP_STATISTICS. */
    uint64_t rx_ring_full; /* packets dropped, since the process was too slow */
    uint64_t rx_dropped;   /* packets dropped for other reasons: no frame, or too long for one */
    uint64_t fill_empty;   /* times that the kernel had no frame to receive into */
    uint64_t tx_invalid;   /* packets to send that the kernel refused */
    uint64_t tx_empty;     /* times that the kernel found nothing to send */
};

/* Fills in *counters, as far as counters->size reaches. It asks the kernel, which takes microseconds. */
int msquicxdp_get_xdp_counters(struct msquicxdp_xdp_counters *counters);

/* What becomes of a socket that asks for XDP. */
enum msquicxdp_xdp_policy {
    MSQUICXDP_XDP_DEFAULT = 0, /* as MSQUICXDP_XDP says: prefer, require or never; else prefer */
    MSQUICXDP_XDP_PREFER = 1,  /* while no interface is served it works over the kernel's sockets */
    MSQUICXDP_XDP_REQUIRE = 2, /* when no interface is served it fails, with NOT_SUPPORTED */
    MSQUICXDP_XDP_NEVER = 3    /* it is made as if it had not asked */
};

/* Where the XDP program of an interface runs. An interface on which that cannot be is not served. */
enum msquicxdp_xdp_attach {
    MSQUICXDP_ATTACH_DEFAULT =
        0,                    /* as MSQUICXDP_XDP_ATTACH says: any, native or generic; else any */
    MSQUICXDP_ATTACH_ANY = 1, /* native where the driver can, else generic */
    MSQUICXDP_ATTACH_NATIVE = 2, /* in the driver */
    MSQUICXDP_ATTACH_GENERIC = 3 /* in the kernel, for every driver */
};

/* Whether the device reads and writes packets in the memory of the process itself. */
enum msquicxdp_xdp_zerocopy {
    MSQUICXDP_ZEROCOPY_DEFAULT = 0, /* as MSQUICXDP_XDP_ZEROCOPY says; else auto */
    MSQUICXDP_ZEROCOPY_AUTO = 1,    /* where the driver can */
    MSQUICXDP_ZEROCOPY_REQUIRE = 2, /* an interface without it is not served */
    MSQUICXDP_ZEROCOPY_NEVER = 3    /* the kernel copies */
};

/* By what a socket sends that receives by AF_XDP. */
enum msquicxdp_xdp_transmit {
    MSQUICXDP_TRANSMIT_DEFAULT = 0, /* as MSQUICXDP_TRANSMIT says: auto, kernel or xdp; else auto */
    MSQUICXDP_TRANSMIT_AUTO = 1, /* AF_XDP with zero-copy, else the kernel's socket of its port */
    MSQUICXDP_TRANSMIT_KERNEL = 2,
    MSQUICXDP_TRANSMIT_XDP = 3
};

/*
 * What AF_XDP may be used for. What is set here goes before the environment, and what is left at
 * NULL or DEFAULT is taken from it.
 *
 * Lists have names of interfaces with commas between them. In a name * stands for any characters,
 * and ? for one. A list is shorter than 512 bytes.
 */
struct msquicxdp_xdp_options {
    size_t size;
    const char *interfaces; /* to serve; NULL: MSQUICXDP_INTERFACES, else all that have addresses */
    const char *deny;       /* never to serve; NULL: MSQUICXDP_INTERFACES_DENY, else none */
    enum msquicxdp_xdp_policy policy;
    enum msquicxdp_xdp_attach attach;
    enum msquicxdp_xdp_zerocopy zerocopy;
    enum msquicxdp_xdp_transmit transmit;
};

/*
 * Sets the options of all datapaths that are made from now on, or with NULL forgets them. The
 * strings are copied. Fails with -EINVAL, and changes nothing, when a value is not one of the above
 * or a list is not one of names; msquicxdp_last_reason says which. A wrong value in the environment
 * makes CxPlatDataPathInitialize fail, with INVALID_PARAMETER.
 */
int msquicxdp_set_xdp(const struct msquicxdp_xdp_options *options);

#ifdef __cplusplus
}
#endif

#endif /* MSQUICXDP_H */
