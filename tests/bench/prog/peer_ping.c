/* SPDX-License-Identifier: MIT */
/*
 * peer_ping.c - sends batches to an echo server and times them.
 *
 * At most `window` batches are on their way. With a window of one the time from sending a batch to
 * having all of it back is a round trip. What does not come back in time is given up: every
 * datagram carries the number of the attempt, so that a late one is not taken for a new one.
 */
#include <time.h>
#include <unistd.h>

#include "burst.h"
#include "fail.h"
#include "meter.h"
#include "peer.h"
#include "reader.h"
#include "udp.h"

enum { MAX_TRIPS = 1 << 20 };

struct ping {
    struct meter meter;
    struct burst burst;
    struct reader reader;
    int fd;
    uint32_t attempt;
    unsigned on_way; /* datagrams */
    uint64_t sent_at;
    uint32_t *trip_ns;
    uint64_t trips;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void mark(struct ping *p, uint32_t attempt)
{
    p->attempt = attempt;
    for (unsigned i = 0; i < p->burst.batch; i++) {
        memcpy(p->burst.data + (size_t)i * p->burst.size, &attempt, sizeof(attempt));
    }
}

static void came_back(void *context, const struct datagram *d)
{
    struct ping *p = context;
    uint32_t attempt;
    memcpy(&attempt, d->data, sizeof(attempt));
    if (attempt == p->attempt && p->on_way > 0) {
        p->on_way--;
        p->meter.now.datagrams++;
        p->meter.now.bytes += d->length;
    }
}

static void fill_window(struct ping *p, unsigned window)
{
    p->sent_at = now_ns();
    while (p->on_way + p->burst.batch <= window * p->burst.batch && burst_send(&p->burst, p->fd)) {
        p->on_way += p->burst.batch;
        p->meter.now.tx_calls++;
    }
}

static void give_up(struct ping *p)
{
    p->meter.now.lost += p->on_way;
    p->on_way = 0;
    mark(p, p->attempt + 1);
}

static void collect(struct ping *p)
{
    int n = reader_read(&p->reader, p->fd);
    if (n == 0 && udp_wait(p->fd)) {
        n = reader_read(&p->reader, p->fd);
    }
    if (n == 0) {
        give_up(p);
        return;
    }
    p->meter.now.rx_calls++;
    for (int i = 0; i < n; i++) {
        reader_deliver(&p->reader, i, came_back, p);
    }
}

static void note_trip(struct ping *p)
{
    if (p->meter.phase == METER_MEASURING && p->trips < MAX_TRIPS) {
        p->trip_ns[p->trips++] = (uint32_t)(now_ns() - p->sent_at);
    }
}

/* One batch at a time. */
static void trip(struct ping *p)
{
    uint32_t attempt = p->attempt;
    fill_window(p, 1);
    bool sent = p->on_way > 0;
    while (p->on_way > 0) {
        collect(p);
    }
    if (sent && p->attempt == attempt) {
        note_trip(p);
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void report(struct ping *p)
{
    struct trips t = {.count = p->trips};
    if (p->trips > 0) {
        qsort(p->trip_ns, p->trips, sizeof(p->trip_ns[0]), by_value);
        t.p50_ns = p->trip_ns[p->trips / 2];
        t.p99_ns = p->trip_ns[p->trips * 99 / 100];
    }
    report_result(&p->meter, &t);
}

void peer_ping(const struct options *o)
{
    static struct ping p;
    p.fd = udp_open(o);
    udp_connect(p.fd, o);
    burst_init(&p.burst, o);
    reader_init(&p.reader);
    meter_init(&p.meter, o);
    p.trip_ns = malloc(MAX_TRIPS * sizeof(p.trip_ns[0]));
    must(p.trip_ns != NULL);
    while (meter_goes_on(&p.meter)) {
        if (o->window == 1) {
            trip(&p);
        } else {
            fill_window(&p, o->window);
            collect(&p);
        }
    }
    report(&p);
    free(p.trip_ns);
    reader_free(&p.reader);
    close(p.fd);
}
