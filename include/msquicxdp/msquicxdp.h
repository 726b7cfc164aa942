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
    uint64_t xdp_unavailable; /* sockets that asked for XDP and got kernel sockets */
};

/* Fills in *counters, as far as counters->size reaches. */
int msquicxdp_get_counters(struct msquicxdp_counters *counters);

#ifdef __cplusplus
}
#endif

#endif /* MSQUICXDP_H */
