/* SPDX-License-Identifier: MIT */
/* xdp_program.c - two programs in the machine language of BPF. */
#include "xdp_program.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fail.h"
#include "xdp_frame.h"

static int bpf(int command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int make_map(unsigned type, unsigned value_size, unsigned entries)
{
    union bpf_attr a = {
        .map_type = type, .key_size = 4, .value_size = value_size, .max_entries = entries};
    int fd = bpf(BPF_MAP_CREATE, &a);
    must(fd >= 0);
    return fd;
}

static void attach(unsigned interface, const struct bpf_insn *code, unsigned length)
{
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_XDP,
        .insns = (uintptr_t)code,
        .insn_cnt = length,
        .license = (uintptr_t) "Dual MIT/GPL",
    };
    int program = bpf(BPF_PROG_LOAD, &load);
    must(program >= 0);
    union bpf_attr link = {
        .link_create = {
            .prog_fd = (unsigned)program,
            .target_ifindex = interface,
            .attach_type = BPF_XDP,
            .flags = XDP_FLAGS_DRV_MODE,
        }};
    must(bpf(BPF_LINK_CREATE, &link) >= 0); /* stays open until the process ends */
}

#define INSN(c, d, s, o, i)                                                                        \
    (struct bpf_insn)                                                                              \
    {                                                                                              \
        .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)                        \
    }
#define MOVE(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOVE_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD_IMM(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, o, s) INSN(BPF_STX | BPF_MEM | (size), d, s, o, 0)
#define UNLESS(d, i, to) INSN(BPF_JMP | BPF_JNE | BPF_K, d, 0, to, (int)(i))
#define IF_ABOVE(d, s, to) INSN(BPF_JMP | BPF_JGT | BPF_X, d, s, to, 0)
#define MAP(d, fd) INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define RETURN INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define LENGTH(code) (sizeof(code) / sizeof((code)[0]))

/* R6: the context, R2: the packet, with all headers of UDP over IPv4. `rest` instructions follow these. */
#define IS_UDP(rest)                                                                               \
    MOVE(6, 1), LOAD(BPF_W, 2, 1, offsetof(struct xdp_md, data)),                                  \
        LOAD(BPF_W, 3, 1, offsetof(struct xdp_md, data_end)), MOVE(4, 2), ADD_IMM(4, XDP_HEADERS), \
        IF_ABOVE(4, 3, 4 + (rest)), LOAD(BPF_H, 4, 2, 12), UNLESS(4, htons(0x0800), 2 + (rest)),   \
        LOAD(BPF_B, 4, 2, 23), UNLESS(4, IPPROTO_UDP, (rest))
#define PASS MOVE_IMM(0, XDP_PASS), RETURN

void xdp_redirect(unsigned interface, uint16_t port, int xsk)
{
    int map = make_map(BPF_MAP_TYPE_XSKMAP, 4, 1);
    unsigned queue = 0;
    union bpf_attr put = {
        .map_fd = (unsigned)map, .key = (uintptr_t)&queue, .value = (uintptr_t)&xsk};
    must(bpf(BPF_MAP_UPDATE_ELEM, &put) == 0);
    const struct bpf_insn code[] = {
        IS_UDP(8),
        LOAD(BPF_H, 4, 2, 36),
        UNLESS(4, htons(port), 6),
        LOAD(BPF_W, 2, 6, offsetof(struct xdp_md, rx_queue_index)),
        MAP(1, map),
        MOVE_IMM(3, XDP_PASS),
        CALL(BPF_FUNC_redirect_map),
        RETURN,
        PASS,
    };
    attach(interface, code, LENGTH(code));
}

void xdp_sink_open(struct xdp_sink *s, unsigned interface)
{
    s->map = make_map(BPF_MAP_TYPE_PERCPU_ARRAY, 8, 2);
    s->processors = (int)sysconf(_SC_NPROCESSORS_CONF);
    const struct bpf_insn code[] = {
        IS_UDP(16),
        LOAD(BPF_B, 4, 2, 22), /* the TTL */
        MOVE_IMM(5, 0),
        INSN(BPF_JMP | BPF_JEQ | BPF_K, 4, 0, 1, XDP_HOP_LIMIT),
        MOVE_IMM(5, 1),
        STORE(BPF_W, 10, -4, 5),
        MOVE(2, 10),
        ADD_IMM(2, -4),
        MAP(1, s->map),
        CALL(BPF_FUNC_map_lookup_elem),
        INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3, 0),
        LOAD(BPF_DW, 1, 0, 0),
        ADD_IMM(1, 1),
        STORE(BPF_DW, 0, 0, 1),
        MOVE_IMM(0, XDP_DROP),
        RETURN,
        PASS,
    };
    attach(interface, code, LENGTH(code));
}

static uint64_t read_sum(const struct xdp_sink *s, unsigned key)
{
    uint64_t value[s->processors], total = 0;
    union bpf_attr get = {
        .map_fd = (unsigned)s->map, .key = (uintptr_t)&key, .value = (uintptr_t)value};
    must(bpf(BPF_MAP_LOOKUP_ELEM, &get) == 0);
    for (int i = 0; i < s->processors; i++) {
        total += value[i];
    }
    return total;
}

struct xdp_swallowed xdp_sink_read(const struct xdp_sink *s)
{
    return (struct xdp_swallowed){read_sum(s, 0), read_sum(s, 1)};
}
