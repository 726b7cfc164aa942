/* SPDX-License-Identifier: MIT */
/* plain_receive.c - a receiver that looks at every datagram. */
#include <unistd.h>

#include "fail.h"
#include "plain.h"
#include "udp.h"

struct receiver {
    struct meter meter;
    uint8_t seen; /* so that the first byte of each has to be fetched */
};

static void look(void *context, const struct datagram *d)
{
    struct receiver *r = context;
    r->meter.now.datagrams++;
    r->meter.now.bytes += d->length;
    r->seen ^= d->data[0];
}

static void serve(void *context, const struct reader *reader, int messages)
{
    for (int i = 0; i < messages; i++) {
        reader_deliver(reader, i, look, context);
    }
}

void plain_receive(const struct options *o)
{
    struct receiver r = {.seen = 0};
    int fd = udp_open(o);
    meter_init(&r.meter, o);
    report_ready(udp_port(fd));
    plain_loop(fd, &r.meter, serve, &r);
    report_result(&r.meter, NULL);
    close(fd);
}
