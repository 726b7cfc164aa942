/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
//go:build ignore

/*
 * reuseport.bpf.c - gives each datagram that reaches a shared UDP port to the process whose CIBIR
 * identifier it carries.
 *
 * The kernel runs it for every datagram of one group of SO_REUSEPORT sockets. It answers with a socket of
 * that group or drops the datagram. It never leaves the choice to the kernel's hash, which would give a
 * datagram that is for nobody, or for a process that has died, to somebody else.
 *
 * Package datapath/steering loads it and writes the maps. Another version of this project may be in another
 * process of the same group: what the maps mean is fixed by FORMAT_VERSION.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_helpers.h>

/* The context begins at the UDP header. The payload need not be in the linear part of the packet. */
#define UDP_HEADER 8
#define CIBIR_LOAD(packet, offset, to, length)                                                     \
    bpf_skb_load_bytes(packet, UDP_HEADER + (offset), to, length)
#include "cibir.h"

#define MAX_SLOTS 4096
#define MAX_SOCKETS 64 /* of one slot */

enum format_magic {
    FORMAT_MAGIC = 0x4358514d, /* "MQXC" in memory */
};

/* Raise it with every change of what a map holds or means. */
enum format_version {
    FORMAT_VERSION = 1,
};

/* Frozen when the group is made. */
struct configuration {
    enum format_magic magic;
    enum format_version version;
    struct cibir_encoding encoding;
    __u8 pad;
};

/* What a slot is for now. All zero: nobody's. */
struct slot {
    struct cibir_id identifier;
    __u32 sockets; /* how many it has in members */
    __u32 pad;
};

/* Every datagram is counted as exactly one of them. */
enum verdict {
    DELIVERED,
    TOO_SHORT,          /* ends before the identifier does */
    NO_IDENTIFIER,      /* its connection ID does */
    UNKNOWN_IDENTIFIER, /* carries one that nobody has */
    DEAD_MEMBER,        /* carries one whose process has died */
    NO_SOCKET,          /* the socket is there, and the kernel refuses it */
    VERDICTS,
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(
        max_entries, 2 * MAX_SLOTS); /* an identifier of a dead process may be left for each slot */
    __type(key, struct cibir_id);
    __type(value, __u32);
} identifiers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, MAX_SLOTS);
    __type(key, __u32);
    __type(value, struct slot);
} slots SEC(".maps");

/*
 * Socket k of slot s is at k * MAX_SLOTS + s, so that what one CPU reads for all slots is close together. A
 * socket leaves by itself when it is closed.
 */
struct {
    __uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
    __uint(max_entries, MAX_SLOTS *MAX_SOCKETS);
    __type(key, __u32);
    __type(value, __u64);
} members SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_RDONLY_PROG);
    __type(key, __u32);
    __type(value, struct configuration);
} config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, VERDICTS);
    __type(key, enum verdict);
    __type(value, __u64);
} verdicts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, MAX_SLOTS);
    __type(key, __u32);
    __type(value, __u64);
} delivered SEC(".maps");

/* One more, in an array of one counter for each CPU. */
static __always_inline void count(void *counters, __u32 index)
{
    __u64 *counter = bpf_map_lookup_elem(counters, &index);

    if (counter)
        ++*counter;
}

/* Selects the socket for an identifier. */
static __always_inline enum verdict select_member(
    struct sk_reuseport_md *packet, struct cibir_id *id)
{
    __u32 *found = bpf_map_lookup_elem(&identifiers, id);
    __u32 slot, sockets, member;
    struct slot *serves;
    long err;

    if (!found)
        return UNKNOWN_IDENTIFIER;
    slot = *found;
    serves = bpf_map_lookup_elem(&slots, &slot);
    if (!serves)
        return UNKNOWN_IDENTIFIER;
    sockets = serves->sockets;
    if (sockets == 0 || sockets > MAX_SOCKETS)
        return DEAD_MEMBER;
    /* The same CPU, the same socket: a process orders them as its workers are. */
    member = bpf_get_smp_processor_id() % sockets * MAX_SLOTS + slot;
    err = bpf_sk_select_reuseport(packet, &members, &member, 0);
    if (err)
        return err == -ENOENT ? DEAD_MEMBER : NO_SOCKET;
    /*
     * The entry may be that of a dead process, and the slot be another's by now. Who takes a slot writes whom
     * it serves before its sockets, so that this look, behind the selection, cannot be too early.
     */
    if (!cibir_same(&serves->identifier, id))
        return DEAD_MEMBER;
    count(&delivered, slot);
    return DELIVERED;
}

static __always_inline enum verdict judge(struct sk_reuseport_md *packet)
{
    __u32 zero = 0;
    struct configuration *c = bpf_map_lookup_elem(&config, &zero);
    struct cibir_encoding encoding;
    struct cibir_id id;

    if (!c)
        return NO_IDENTIFIER; /* cannot be: the verifier does not know that key 0 exists */
    encoding = c->encoding;
    switch (cibir_find(packet, packet->len - UDP_HEADER, &encoding, &id)) {
    case CIBIR_FOUND: return select_member(packet, &id);
    case CIBIR_TOO_SHORT: return TOO_SHORT;
    default: return NO_IDENTIFIER;
    }
}

SEC("sk_reuseport")
int msquicxdp_steer(struct sk_reuseport_md *packet)
{
    enum verdict v = judge(packet);

    count(&verdicts, v);
    return v == DELIVERED ? SK_PASS : SK_DROP;
}

char _license[] SEC("license") = "Dual MIT/GPL";
