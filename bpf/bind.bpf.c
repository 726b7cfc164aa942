/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
//go:build ignore

/*
 * bind.bpf.c - keeps reserved ports for the users that an administrator permits.
 *
 * The kernel runs bind4 and bind6 before a socket is bound, and post_bind4 and post_bind6 when it has a port,
 * which is also one that the kernel chose. They answer "address in use" for a port that is reserved in the
 * socket's network namespace, unless the user or the group of the calling thread is permitted. What is not
 * bound by bind(2) is not seen: there ip_local_reserved_ports helps, which the kernel consults itself.
 *
 * The user is the real one, and the group is the real one: bpf_get_current_uid_gid tells neither effective nor
 * supplementary ids. Both are numbers of the initial user namespace.
 *
 * Package portres/reserve loads them, attaches them by links only, and fills the maps. Programs and maps are
 * pinned in a directory whose name has the version of what the maps mean.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Verdicts. */
#define REFUSE 0
#define ALLOW 1

/* A port of a network namespace. */
struct port {
    __u64 netns;    /* cookie */
    __u32 protocol; /* IPPROTO_UDP, IPPROTO_TCP */
    __u16 number;   /* host byte order */
    __u16 pad;
};

/* Who may have the ports of a reservation. */
struct permit {
    __u64 netns;       /* cookie */
    __u64 reservation; /* token */
    __u32 id;
    __u32 is_group;
};

/* Reserved ports, of all network namespaces; the value is the token of the reservation. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(pinning, LIBBPF_PIN_BY_NAME);
    __type(key, struct port);
    __type(value, __u64);
} ports SEC(".maps");

/* A set: the value says nothing. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(pinning, LIBBPF_PIN_BY_NAME);
    __type(key, struct permit);
    __type(value, __u8);
} permits SEC(".maps");

static __always_inline int is_permitted(struct permit *who, __u32 id, __u32 is_group)
{
    who->id = id;
    who->is_group = is_group;
    return bpf_map_lookup_elem(&permits, who) != 0;
}

static __always_inline int judge(__u64 netns, __u32 protocol, __u16 number)
{
    struct port port = {.netns = netns, .protocol = protocol, .number = number};
    __u64 *reservation = bpf_map_lookup_elem(&ports, &port);
    struct permit who = {.netns = netns};
    __u64 ids;

    if (!reservation)
        return ALLOW;
    who.reservation = *reservation;
    ids = bpf_get_current_uid_gid();
    if (is_permitted(&who, (__u32)ids, 0) || is_permitted(&who, ids >> 32, 1))
        return ALLOW;
    bpf_set_retval(-EADDRINUSE);
    return REFUSE;
}

static __always_inline int judge_address(struct bpf_sock_addr *ctx)
{
    return judge(bpf_get_netns_cookie(ctx), ctx->protocol, bpf_ntohs((__u16)ctx->user_port));
}

static __always_inline int judge_socket(struct bpf_sock *ctx)
{
    return judge(bpf_get_netns_cookie(ctx), ctx->protocol, (__u16)ctx->src_port);
}

SEC("cgroup/bind4")
int msquicxdp_bind4(struct bpf_sock_addr *ctx)
{
    return judge_address(ctx);
}

SEC("cgroup/bind6")
int msquicxdp_bind6(struct bpf_sock_addr *ctx)
{
    return judge_address(ctx);
}

SEC("cgroup/post_bind4")
int msquicxdp_post4(struct bpf_sock *ctx)
{
    return judge_socket(ctx);
}

SEC("cgroup/post_bind6")
int msquicxdp_post6(struct bpf_sock *ctx)
{
    return judge_socket(ctx);
}

char _license[] SEC("license") = "Dual MIT/GPL";
