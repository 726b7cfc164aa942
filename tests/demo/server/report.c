/* SPDX-License-Identifier: MIT */
/* report.c - prints the report. */
#include "report.h"

#include <inttypes.h>
#include <unistd.h>

#include "msquicxdp/msquicxdp.h"
#include "server.h"

static const char *const names[COUNTS] = {
    [COUNT_CONNECTIONS] = "connections",
    [COUNT_HANDSHAKES] = "handshakes",
    [COUNT_LIVE] = "live",
    [COUNT_STREAMS] = "streams",
    [COUNT_BYTES] = "bytes",
    [COUNT_MISMATCHES] = "mismatches",
    [COUNT_MIGRATIONS] = "migrations",
    [COUNT_KEY_UPDATES] = "key_updates",
    [COUNT_HANDED_OVER] = "handed_over",
    [COUNT_NEGOTIATIONS] = "negotiations",
    [COUNT_RESETS] = "resets",
    [COUNT_STRAYS] = "strays",
    [COUNT_MISROUTED] = "misrouted",
};

static uint64_t sum(const struct server *s, enum count which)
{
    uint64_t total = 0;
    for (uint16_t i = 0; i < s->options->workers; i++) {
        total += atomic_load_explicit(&s->partitions[i].counts.n[which], memory_order_relaxed);
    }
    return total;
}

static void print_datapath(FILE *out)
{
    struct msquicxdp_counters c = {.size = sizeof(c)};
    msquicxdp_get_counters(&c);
    fprintf(
        out,
        "\"datapath\":{\"rx_turns\":%" PRIu64 ",\"rx_datagrams\":%" PRIu64 ",\"rx_bytes\":%" PRIu64
        ",\"rx_dropped\":%" PRIu64 ",\"tx_batches\":%" PRIu64 ",\"tx_datagrams\":%" PRIu64
        ",\"tx_bytes\":%" PRIu64 ",\"tx_queued\":%" PRIu64 ",\"tx_failed\":%" PRIu64
        ",\"block_allocs\":%" PRIu64 "}",
        c.rx_turns, c.rx_datagrams, c.rx_bytes, c.rx_dropped, c.tx_batches, c.tx_datagrams,
        c.tx_bytes, c.tx_queued, c.tx_failed, c.block_allocs);
}

void report_print(FILE *out, const struct server *server)
{
    const char *path = CxPlatSocketRawSocketAvailable(server->socket) ? "xdp" : "kernel";
    fprintf(
        out, "{\"name\":\"%s\",\"pid\":%d,\"path\":\"%s\",", server->options->name, (int)getpid(),
        path);
    for (int i = 0; i < COUNTS; i++) {
        fprintf(out, "\"%s\":%" PRIu64 ",", names[i], sum(server, (enum count)i));
    }
    print_datapath(out);
    fprintf(out, "}\n");
    fflush(out);
}
