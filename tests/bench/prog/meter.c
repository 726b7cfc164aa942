/* SPDX-License-Identifier: MIT */
/* meter.c - clocks, phases, results. */
#include "meter.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "fail.h"
#include "syscalls.h"
#include "worker.h"

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Good to a few milliseconds, and so cheap that it can be asked for every datagram. */
static uint64_t coarse_now(void)
{
    return read_clock(CLOCK_MONOTONIC_COARSE);
}

static void take(struct meter *m, struct counts *counts, struct clocks *clocks)
{
    if (m->refresh != NULL) {
        m->refresh(&m->now);
    }
    *counts = m->now;
    clocks->wall = read_clock(CLOCK_MONOTONIC);
    clocks->process = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    clocks->thread = read_clock(CLOCK_THREAD_CPUTIME_ID);
    clocks->system_calls = syscalls_read(m->system_calls);
}

static void enter(struct meter *m, enum meter_phase phase, unsigned ms)
{
    m->phase = phase;
    m->deadline = ms == 0 ? UINT64_MAX : coarse_now() + (uint64_t)ms * 1000000;
}

static void begin(struct meter *m)
{
    take(m, &m->counts_before, &m->clocks_before);
    m->counts_after = m->counts_before;
    m->clocks_after = m->clocks_before;
    enter(m, METER_MEASURING, m->options->time);
}

static void end(struct meter *m)
{
    if (m->phase == METER_MEASURING) {
        take(m, &m->counts_after, &m->clocks_after);
    }
    m->phase = METER_OVER;
}

void meter_init(struct meter *m, const struct options *o)
{
    *m = (struct meter){.options = o, .phase = METER_IDLE, .system_calls = -1};
    if (o->count) {
        m->system_calls = syscalls_open();
    }
}

bool meter_goes_on(struct meter *m)
{
    if (stop_wanted()) {
        end(m);
    }
    switch (m->phase) {
    case METER_IDLE:
        if (m->now.datagrams != 0) {
            enter(m, METER_WARM_UP, m->options->warmup + 1);
        }
        break;
    case METER_WARM_UP:
        if (coarse_now() >= m->deadline) {
            begin(m);
        }
        break;
    case METER_MEASURING:
        if (coarse_now() >= m->deadline) {
            end(m);
        }
        break;
    case METER_OVER: break;
    }
    return m->phase != METER_OVER;
}

void report_ready(unsigned port)
{
    printf("ready %u\n", port);
    fflush(stdout);
}

void hold(const struct options *o)
{
    char go;
    if (o->hold) {
        report_ready(o->port);
        must(read(STDIN_FILENO, &go, 1) >= 0 || errno == EINTR);
    }
}

static void print(const char *name, uint64_t before, uint64_t after)
{
    printf("\"%s\":%" PRIu64 ",", name, after - before);
}

void report_result(const struct meter *m, const struct trips *trips)
{
    static const struct trips none;
    const struct counts *c0 = &m->counts_before, *c1 = &m->counts_after;
    const struct clocks *t0 = &m->clocks_before, *t1 = &m->clocks_after;
    trips = trips != NULL ? trips : &none;
    printf("{");
    print("datagrams", c0->datagrams, c1->datagrams);
    print("bytes", c0->bytes, c1->bytes);
    print("rx_calls", c0->rx_calls, c1->rx_calls);
    print("tx_calls", c0->tx_calls, c1->tx_calls);
    print("lost", c0->lost, c1->lost);
    print("allocations", c0->allocations, c1->allocations);
    print("callback_ns", c0->callback_ns, c1->callback_ns);
    print("by_kernel", c0->by_kernel, c1->by_kernel);
    print("system_calls", t0->system_calls, t1->system_calls);
    print("wall_ns", t0->wall, t1->wall);
    print("cpu_ns", t0->process, t1->process);
    print("thread_cpu_ns", t0->thread, t1->thread);
    print("trips", 0, trips->count);
    print("p50_ns", 0, trips->p50_ns);
    printf("\"p99_ns\":%" PRIu64 "}\n", trips->p99_ns);
    fflush(stdout);
}
