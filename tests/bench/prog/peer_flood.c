/* SPDX-License-Identifier: MIT */
/* peer_flood.c - a sender: several batches in a call, without a pause or at a rate. */
#include <stdint.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "burst.h"
#include "fail.h"
#include "meter.h"
#include "peer.h"

enum {
    VECTOR = 32,  /* datagrams in a system call, in batches of whatever size */
    PAUSE_US = 50 /* how long a paced sender rests when it is ahead */
};

struct flood {
    struct burst burst;
    struct mmsghdr message[VECTOR];
    unsigned messages;
    int fd;
};

static void init(struct flood *f, const struct options *o)
{
    f->fd = udp_open(o);
    udp_connect(f->fd, o);
    burst_init(&f->burst, o);
    f->messages = o->batch < VECTOR && o->rate == 0 ? VECTOR / o->batch : 1;
    for (unsigned i = 0; i < f->messages; i++) {
        f->message[i].msg_hdr = f->burst.header;
    }
}

static void send_some(struct flood *f, struct counts *now)
{
    int n = sendmmsg(f->fd, f->message, f->messages, MSG_NOSIGNAL);
    must(n >= 0 || errno == EAGAIN || errno == ECONNREFUSED || errno == ENOBUFS || errno == EINTR);
    uint64_t sent = n > 0 ? (uint64_t)n * f->burst.batch : 0;
    now->tx_calls++;
    now->datagrams += sent;
    now->bytes += sent * f->burst.size;
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Sends what is due since `start`, then rests. */
static void send_due(struct flood *f, struct counts *now, uint64_t start, unsigned rate)
{
    uint64_t due = (now_us() - start) * rate / 1000000;
    while (now->datagrams < due) {
        send_some(f, now);
    }
    usleep(PAUSE_US);
}

void peer_flood(const struct options *o)
{
    static struct flood f;
    struct meter m;
    init(&f, o);
    meter_init(&m, o);
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    uint64_t start = now_us();
    while (meter_goes_on(&m)) {
        if (o->rate == 0) {
            send_some(&f, &m.now);
        } else {
            send_due(&f, &m.now, start, o->rate);
        }
    }
    report_result(&m, NULL);
    close(f.fd);
}
