/* SPDX-License-Identifier: MIT */
/*
 * inbox.h - the callbacks of a socket: counts its up-calls and keeps copies of what arrived.
 *
 * The context of every socket of a test is an inbox. By default a receive up-call checks each
 * element against the promises of cxplat.h, copies it, writes over all that core may write over,
 * and returns the data at once. A test changes that with `keep`, `copies` or the hooks.
 */
#ifndef HOST_INBOX_H
#define HOST_INBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "msquicxdp/cxplat.h"

struct rig; /* rig.h */

enum inbox_event {
    INBOX_CHAINS,    /* receive up-calls */
    INBOX_DATAGRAMS, /* elements of their chains */
    INBOX_BYTES,
    INBOX_UNREACHABLE,
    INBOX_CONNECTED,    /* Connect(TRUE) */
    INBOX_DISCONNECTED, /* Connect(FALSE) */
    INBOX_ACCEPTED,     /* Accept up-calls, rejected ones too */
    INBOX_COMPLETED,    /* SendComplete up-calls */
    INBOX_COMPLETED_BYTES,
    INBOX_EVENTS
};

/* A copy of a received datagram, or of a piece of a stream. */
struct mail {
    struct mail *next;
    QUIC_ADDR from;
    QUIC_ADDR to;
    CXPLAT_QUEUE *queue;
    pthread_t thread;
    uint16_t partition;
    uint16_t length;
    uint8_t tos;
    uint8_t ttl;
    uint8_t data[];
};

enum { INBOX_ACCEPTS = 64 };

struct inbox {
    struct rig *rig;

    /* Set before the socket is made. */
    bool keep;      /* keep received data in `kept`, unreturned */
    bool no_copies; /* only count */
    bool raw;       /* datagrams may come by AF_XDP */
    void *user;
    struct inbox *accepting; /* the context of accepted sockets; NULL: they are rejected */
    QUIC_STATUS rejection;   /* with which status, if not 0 */
    /* Called without the lock, before the up-call is counted. on_receive takes the data if TRUE. */
    bool (*on_receive)(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain);
    void (*on_other)(struct inbox *in, CXPLAT_SOCKET *socket, enum inbox_event event);

    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t count[INBOX_EVENTS];
    struct mail *first;
    struct mail **last;
    CXPLAT_RECV_DATA *kept;
    CXPLAT_SOCKET *accepted[INBOX_ACCEPTS];
    QUIC_ADDR unreachable;  /* of the last such up-call */
    QUIC_STATUS completion; /* the first failure of a SendComplete */

    _Atomic int inside;  /* up-calls that run now */
    _Atomic bool sealed; /* the socket is gone: no up-call may come */
};

extern const CXPLAT_UDP_DATAPATH_CALLBACKS inbox_udp;
extern const CXPLAT_TCP_DATAPATH_CALLBACKS inbox_tcp;

void inbox_init(struct inbox *in, struct rig *rig);

/* Frees the copies and returns what was kept. */
void inbox_free(struct inbox *in);

/* Forgets copies and counts. */
void inbox_clear(struct inbox *in);

/* Its socket has just been deleted: none of its up-calls runs, and from now on one is a failure. */
void inbox_seal(struct inbox *in);

uint64_t inbox_count(struct inbox *in, enum inbox_event event);

/* Waits until the event has happened at least n times. In an external pool this thread polls. */
bool inbox_wait(struct inbox *in, enum inbox_event event, uint64_t n);
bool inbox_wait_ms(struct inbox *in, enum inbox_event event, uint64_t n, unsigned ms);

/* The n-th piece of mail, from 0; NULL if there are fewer. */
const struct mail *inbox_mail(struct inbox *in, unsigned n);

/* Takes the kept data. */
CXPLAT_RECV_DATA *inbox_take_kept(struct inbox *in);

#endif
