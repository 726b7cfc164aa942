/* SPDX-License-Identifier: MIT */
/* xdp_ping.c - keeps `window` batches on their way to a server that echoes. */
#include <time.h>

#include "fail.h"
#include "xdp.h"
#include "xdp_frame.h"
#include "xdp_program.h"
#include "xsk.h"

struct pinger {
    const struct options *o;
    struct xsk x;
    struct xdp_frame f;
    struct meter m;
    unsigned out;  /* datagrams on their way */
    unsigned turn; /* whose identifier is next */
    uint64_t heard, heard_ms;
};

static unsigned take(struct pinger *p)
{
    struct xdp_desc d[XSK_BATCH];
    unsigned n = xsk_peek(&p->x, d);
    xsk_refill(&p->x, d, n);
    xsk_release(&p->x, n);
    p->m.now.datagrams += n;
    p->out -= n < p->out ? n : p->out;
    return n;
}

static bool give(struct pinger *p)
{
    struct xdp_desc d[MAX_BATCH];
    unsigned batch = p->o->batch;
    xsk_reap(&p->x);
    if (p->out + batch > p->o->window * batch || p->x.frees < batch) {
        return false;
    }
    for (unsigned i = 0; i < batch; i++) {
        uint8_t *to = xsk_frame(&p->x, &d[i], p->f.length);
        xdp_frame_write(&p->f, to, p->turn % p->o->members);
    }
    p->turn++;
    must(xsk_submit(&p->x, d, batch)); /* TX has an entry for each chunk */
    p->out += batch;
    xsk_kick(&p->x);
    return true;
}

/* It does not sleep: only the server is to be waited for. */
static bool is_silent(struct pinger *p)
{
    enum { LONGEST_MS = 20 };
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (p->heard != p->m.now.datagrams) {
        p->heard = p->m.now.datagrams;
        p->heard_ms = ms;
    }
    return ms - p->heard_ms > LONGEST_MS;
}

void xdp_ping(const struct options *o)
{
    static struct pinger p;
    p.o = o;
    xsk_open(&p.x, o->interface);
    xdp_redirect(o->interface, XDP_PORT, p.x.fd);
    xdp_frame_init(&p.f, o, XDP_PORT);
    meter_init(&p.m, o);
    while (meter_goes_on(&p.m)) {
        if (take(&p) + give(&p) != 0) {
            continue;
        }
        xsk_kick(&p.x); /* what the kernel has left of the last time */
        if (is_silent(&p)) {
            p.m.now.lost += p.out; /* nothing is on its way any more */
            p.out = 0;
        }
    }
    report_result(&p.m, NULL);
}
