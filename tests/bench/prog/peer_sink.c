/* SPDX-License-Identifier: MIT */
/*
 * peer_sink.c - a receiver that only counts.
 *
 * It does not wait in the kernel but naps and looks again: to wake it would be work of the sender's
 * (an interrupt to another processor), more than the send itself, and different from run to run.
 */
#include <unistd.h>

#include "meter.h"
#include "peer.h"
#include "reader.h"
#include "udp.h"

enum { NAP_US = 500 };

static void count(struct counts *now, const struct reader *r, int i)
{
    struct origin origin;
    reader_origin(r, i, &origin);
    uint32_t length = r->message[i].msg_len;
    now->datagrams += origin.segment == 0 ? 0 : (length + origin.segment - 1) / origin.segment;
    now->bytes += length;
}

void peer_sink(const struct options *o)
{
    struct reader reader;
    struct meter m;
    int fd = udp_open(o);
    reader_init(&reader);
    meter_init(&m, o);
    report_ready(udp_port(fd));
    while (meter_goes_on(&m)) {
        int n = reader_read(&reader, fd);
        m.now.rx_calls++;
        for (int i = 0; i < n; i++) {
            count(&m.now, &reader, i);
        }
        if (n == 0) {
            usleep(NAP_US);
        }
    }
    report_result(&m, NULL);
    reader_free(&reader);
    close(fd);
}
