/* SPDX-License-Identifier: MIT */
/* xsk.c - socket, rings, chunks. */
#include "xsk.h"

#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "fail.h"
#include "worker.h"

enum { TX_BUDGET = 64 };

/* What headers of before Linux 6.8 do not have. */
enum {
    OPTION_MAX_TX_SKB_BUDGET = 9,
    UMEM_TX_METADATA_LEN = 1 << 2,
    DESC_TX_METADATA = 1 << 1,
    METADATA_CHECKSUM = 1 << 1,
};
struct umem_reg {
    uint64_t addr, len;
    uint32_t chunk_size, headroom, flags, tx_metadata_len;
};
struct tx_metadata {
    uint64_t flags;
    uint16_t checksum_start, checksum_offset;
    uint32_t reserved;
};

static void ring_size(const struct xsk *x, int option, unsigned entries)
{
    must(setsockopt(x->fd, SOL_XDP, option, &entries, sizeof(entries)) == 0);
}

static void register_umem(struct xsk *x)
{
    size_t size = (size_t)(XSK_RX_CHUNKS + XSK_TX) * XSK_CHUNK;
    x->umem =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    must(x->umem != MAP_FAILED);
    struct umem_reg r = {
        .addr = (uintptr_t)x->umem,
        .len = size,
        .chunk_size = XSK_CHUNK,
        .flags = UMEM_TX_METADATA_LEN,
        .tx_metadata_len = sizeof(struct tx_metadata),
    };
    must(setsockopt(x->fd, SOL_XDP, XDP_UMEM_REG, &r, sizeof(r)) == 0);
}

static void map_ring(
    const struct xsk *x,
    struct xsk_ring *r,
    const struct xdp_ring_offset *o,
    uint64_t page,
    unsigned entries,
    size_t entry)
{
    uint8_t *m = mmap(
        NULL, o->desc + entries * entry, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, x->fd,
        (off_t)page);
    must(m != MAP_FAILED);
    *r = (struct xsk_ring){
        .producer = (uint32_t *)(m + o->producer),
        .consumer = (uint32_t *)(m + o->consumer),
        .flags = (uint32_t *)(m + o->flags),
        .entries = m + o->desc,
        .mask = entries - 1,
    };
}

static void map_rings(struct xsk *x)
{
    struct xdp_mmap_offsets o;
    socklen_t length = sizeof(o);
    must(getsockopt(x->fd, SOL_XDP, XDP_MMAP_OFFSETS, &o, &length) == 0);
    map_ring(x, &x->rx, &o.rx, XDP_PGOFF_RX_RING, XSK_RX, sizeof(struct xdp_desc));
    map_ring(x, &x->tx, &o.tx, XDP_PGOFF_TX_RING, XSK_TX, sizeof(struct xdp_desc));
    map_ring(x, &x->fill, &o.fr, XDP_UMEM_PGOFF_FILL_RING, XSK_FILL, sizeof(uint64_t));
    map_ring(
        x, &x->completion, &o.cr, XDP_UMEM_PGOFF_COMPLETION_RING, XSK_COMPLETION, sizeof(uint64_t));
}

/* The kernel releases a queue some milliseconds after its last socket is closed. */
static void bind_queue(const struct xsk *x, unsigned interface)
{
    struct sockaddr_xdp a = {
        .sxdp_family = AF_XDP,
        .sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP,
        .sxdp_ifindex = interface,
    };
    for (int tries = 0; bind(x->fd, (struct sockaddr *)&a, sizeof(a)) != 0; tries++) {
        must(errno == EBUSY && tries < 1000);
        poll(NULL, 0, 1);
    }
}

static void fill_one(struct xsk *x, uint64_t address)
{
    ((uint64_t *)x->fill.entries)[x->fill.next++ & x->fill.mask] =
        address & ~(uint64_t)(XSK_CHUNK - 1);
}

static void publish(struct xsk_ring *r)
{
    __atomic_store_n(r->producer, r->next, __ATOMIC_RELEASE);
}

static void consume(struct xsk_ring *r)
{
    __atomic_store_n(r->consumer, r->next, __ATOMIC_RELEASE);
}

void xsk_open(struct xsk *x, unsigned interface)
{
    *x = (struct xsk){.fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)};
    must(x->fd >= 0);
    register_umem(x);
    ring_size(x, XDP_RX_RING, XSK_RX);
    ring_size(x, XDP_TX_RING, XSK_TX);
    ring_size(x, XDP_UMEM_FILL_RING, XSK_FILL);
    ring_size(x, XDP_UMEM_COMPLETION_RING, XSK_COMPLETION);
    unsigned budget = TX_BUDGET; /* an older kernel has its own */
    (void)setsockopt(x->fd, SOL_XDP, OPTION_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
    bind_queue(x, interface);
    map_rings(x);
    for (unsigned i = 0; i < XSK_RX_CHUNKS; i++) {
        fill_one(x, (uint64_t)i * XSK_CHUNK);
    }
    publish(&x->fill);
    while (x->frees < XSK_TX) {
        x->free[x->frees] = (uint64_t)(XSK_RX_CHUNKS + x->frees) * XSK_CHUNK;
        x->frees++;
    }
}

static uint32_t available(struct xsk_ring *r)
{
    if (r->other == r->next) {
        r->other = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
    }
    return r->other - r->next;
}

unsigned xsk_peek(struct xsk *x, struct xdp_desc *d)
{
    unsigned n = available(&x->rx);
    n = n < XSK_BATCH ? n : XSK_BATCH;
    for (unsigned i = 0; i < n; i++) {
        d[i] = ((struct xdp_desc *)x->rx.entries)[(x->rx.next + i) & x->rx.mask];
    }
    return n;
}

void xsk_release(struct xsk *x, unsigned n)
{
    x->rx.next += n;
    consume(&x->rx);
}

void xsk_refill(struct xsk *x, const struct xdp_desc *d, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        fill_one(x, d[i].addr);
    }
    publish(&x->fill);
}

bool xsk_wait(const struct xsk *x)
{
    struct pollfd p = {.fd = x->fd, .events = POLLIN};
    return poll(&p, 1, STOP_CHECK_MS) > 0;
}

void xsk_reap(struct xsk *x)
{
    for (unsigned n = available(&x->completion); n > 0; n--) {
        uint64_t address =
            ((uint64_t *)x->completion.entries)[x->completion.next++ & x->completion.mask];
        if (address < (uint64_t)XSK_RX_CHUNKS * XSK_CHUNK) {
            fill_one(x, address);
        } else {
            x->free[x->frees++] = address & ~(uint64_t)(XSK_CHUNK - 1);
        }
    }
    consume(&x->completion);
    publish(&x->fill);
}

bool xsk_submit(struct xsk *x, const struct xdp_desc *d, unsigned n)
{
    if (x->tx.mask + 1 - (x->tx.next - x->tx.other) < n) {
        x->tx.other = __atomic_load_n(x->tx.consumer, __ATOMIC_ACQUIRE);
    }
    if (x->tx.mask + 1 - (x->tx.next - x->tx.other) < n) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        ((struct xdp_desc *)x->tx.entries)[x->tx.next++ & x->tx.mask] = d[i];
    }
    publish(&x->tx);
    return true;
}

void xsk_kick(const struct xsk *x)
{
    if (__atomic_load_n(x->tx.flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP) {
        int n = (int)sendto(x->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
        must(n >= 0 || errno == EAGAIN || errno == EBUSY || errno == ENOBUFS);
    }
}

uint8_t *xsk_frame(struct xsk *x, struct xdp_desc *d, unsigned length)
{
    uint64_t chunk = x->free[--x->frees];
    struct tx_metadata *m = (struct tx_metadata *)(x->umem + chunk);
    *m = (struct tx_metadata){
        .flags = METADATA_CHECKSUM, .checksum_start = 34, .checksum_offset = 6};
    *d = (struct xdp_desc){.addr = chunk + sizeof(*m), .len = length, .options = DESC_TX_METADATA};
    return x->umem + d->addr;
}
