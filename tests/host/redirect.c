/* SPDX-License-Identifier: MIT */
/* redirect.c - the program, instruction by instruction. */
#include "host/redirect.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* Where in a frame things are, without IPv4 options and IPv6 extension headers. */
enum {
    IP4 = 14,
    IP4_END = IP4 + 20 + 8,
    IP4_PROTOCOL = IP4 + 9,
    IP4_PORT = IP4 + 20 + 2,
    IP6_END = IP4 + 40 + 8,
    IP6_PROTOCOL = IP4 + 6,
    IP6_PORT = IP4 + 40 + 2
};

#define LOAD(size, to, from, at)                                                                   \
    {                                                                                              \
        .code = BPF_LDX | BPF_MEM | (size), .dst_reg = (to), .src_reg = (from),                    \
        .off = (int16_t)(at)                                                                       \
    }
#define MOVE(to, from)                                                                             \
    {                                                                                              \
        .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from)                    \
    }
#define MOVE_IMM(to, value)                                                                        \
    {                                                                                              \
        .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (to), .imm = (value)                       \
    }
#define ADD_IMM(to, value)                                                                         \
    {                                                                                              \
        .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = (to), .imm = (value)                       \
    }
#define IF_MORE(a, b, skip)                                                                        \
    {                                                                                              \
        .code = BPF_JMP | BPF_JGT | BPF_X, .dst_reg = (a), .src_reg = (b), .off = (skip)           \
    }
#define IF_NOT(a, value, skip)                                                                     \
    {                                                                                              \
        .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = (a), .off = (skip), .imm = (value)           \
    }
#define GO(skip)                                                                                   \
    {                                                                                              \
        .code = BPF_JMP | BPF_JA, .off = (skip)                                                    \
    }
#define CALL(helper)                                                                               \
    {                                                                                              \
        .code = BPF_JMP | BPF_CALL, .imm = (helper)                                                \
    }
#define END()                                                                                      \
    {                                                                                              \
        .code = BPF_JMP | BPF_EXIT                                                                 \
    }

/* R6 is the packet, R7 its end, R8 the queue, R0 the ethertype. */
static int load(int map, uint16_t port)
{
    const struct bpf_insn code[] = {
        LOAD(BPF_W, BPF_REG_6, BPF_REG_1, offsetof(struct xdp_md, data)),
        LOAD(BPF_W, BPF_REG_7, BPF_REG_1, offsetof(struct xdp_md, data_end)),
        LOAD(BPF_W, BPF_REG_8, BPF_REG_1, offsetof(struct xdp_md, rx_queue_index)),
        MOVE(BPF_REG_2, BPF_REG_6),
        ADD_IMM(BPF_REG_2, IP4_END),
        IF_MORE(BPF_REG_2, BPF_REG_7, 19), /* to: pass */
        LOAD(BPF_H, BPF_REG_0, BPF_REG_6, offsetof(struct ethhdr, h_proto)),
        IF_NOT(BPF_REG_0, htons(ETH_P_IP), 3), /* to: not IPv4 */
        LOAD(BPF_B, BPF_REG_3, BPF_REG_6, IP4_PROTOCOL),
        LOAD(BPF_H, BPF_REG_4, BPF_REG_6, IP4_PORT),
        GO(6), /* to: compare */
        /* not IPv4: */
        IF_NOT(BPF_REG_0, htons(ETH_P_IPV6), 13), /* to: pass */
        MOVE(BPF_REG_2, BPF_REG_6),
        ADD_IMM(BPF_REG_2, IP6_END),
        IF_MORE(BPF_REG_2, BPF_REG_7, 10), /* to: pass */
        LOAD(BPF_B, BPF_REG_3, BPF_REG_6, IP6_PROTOCOL),
        LOAD(BPF_H, BPF_REG_4, BPF_REG_6, IP6_PORT),
        /* compare: */
        IF_NOT(BPF_REG_3, IPPROTO_UDP, 7), /* to: pass */
        IF_NOT(BPF_REG_4, htons(port), 6), /* to: pass */
        {.code = BPF_LD | BPF_IMM | BPF_DW,
         .dst_reg = BPF_REG_1,
         .src_reg = BPF_PSEUDO_MAP_FD,
         .imm = map},
        {0}, /* its upper half */
        MOVE(BPF_REG_2, BPF_REG_8),
        MOVE_IMM(BPF_REG_3, XDP_PASS), /* where the map has no socket */
        CALL(BPF_FUNC_redirect_map),
        END(),
        /* pass: */
        MOVE_IMM(BPF_REG_0, XDP_PASS),
        END(),
    };
    union bpf_attr attr = {
        .prog_type = BPF_PROG_TYPE_XDP,
        .insns = (uintptr_t)code,
        .insn_cnt = sizeof(code) / sizeof(code[0]),
        .license = (uintptr_t) "MIT",
    };
    return bpf(BPF_PROG_LOAD, &attr);
}

static int attach(int program, const char *interface)
{
    union bpf_attr attr = {0};
    attr.link_create.prog_fd = (uint32_t)program;
    attr.link_create.target_ifindex = if_nametoindex(interface);
    attr.link_create.attach_type = BPF_XDP;
    return bpf(BPF_LINK_CREATE, &attr);
}

int redirect_map(uint32_t type, uint32_t entries)
{
    union bpf_attr attr = {
        .map_type = type, .key_size = 4, .value_size = 4, .max_entries = entries};
    return bpf(BPF_MAP_CREATE, &attr);
}

bool redirect_open(struct redirect *r, const char *interface, uint16_t port, uint32_t entries)
{
    *r = (struct redirect){-1, -1, -1};
    if ((r->map = redirect_map(BPF_MAP_TYPE_XSKMAP, entries)) >= 0 &&
        (r->program = load(r->map, port)) >= 0 && (r->link = attach(r->program, interface)) >= 0) {
        return true;
    }
    redirect_close(r);
    return false;
}

static void close_one(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

void redirect_close(struct redirect *r)
{
    close_one(&r->link);
    close_one(&r->program);
    close_one(&r->map);
}
