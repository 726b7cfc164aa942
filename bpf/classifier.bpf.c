/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
//go:build ignore

/*
 * classifier.bpf.c - decides for each packet that an interface receives which datapath it is for.
 *
 * A packet for one of ours goes to its AF_XDP socket. Every other packet goes on to the kernel's network
 * stack as if the program were not there: nothing is ever dropped here, and nothing is changed.
 *
 * Package datapath/classifier loads it and writes the maps, from several processes at once. Another version
 * of this project may be in another process: what the maps mean is fixed by FORMAT_VERSION.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct datagram;
static __always_inline int load(struct datagram *d, __u32 offset, void *to, __u32 length);
#define CIBIR_LOAD(packet, offset, to, length) load(packet, offset, to, length)
#include "cibir.h"

#define MAX_SLOTS 1024 /* one for each datapath */
#define MAX_QUEUES 64  /* of the interface; what comes by a later one is passed on */
#define MAX_ADDRESSES 4096
#define MAX_PORTS 65536
#define MAX_IDENTIFIERS 16384

enum format_magic {
    FORMAT_MAGIC = 0x5858514d, /* "MQXX" in memory */
};

/* Raise it with every change of what a map holds or means. */
enum format_version {
    FORMAT_VERSION = 1,
};

/* Every packet is counted as exactly one of them. All but the first are passed on. */
enum verdict {
    REDIRECTED,
    NOT_IP,    /* by its ethertype */
    TAGGED,    /* with a VLAN, which the kernel knows */
    MALFORMED, /* its lengths contradict each other, or the headers are not together */
    FRAGMENT,  /* of an IP packet */
    EXTENSION, /* has IPv6 extension headers */
    NOT_UDP,
    NO_PORT,            /* its port is nobody's here */
    NOT_LOCAL,          /* is for an address of somebody else */
    TOO_LONG,           /* for the frames of the sockets */
    TOO_SHORT,          /* ends before the identifier does */
    NO_IDENTIFIER,      /* its connection ID does */
    UNKNOWN_IDENTIFIER, /* carries one that nobody has */
    PAUSED,             /* its queue is */
    NO_SOCKET,          /* whose it is has none for its queue */
    VERDICTS,
};

enum port_kind {
    PORT_EXCLUSIVE = 1, /* its datagrams are all for one slot */
    PORT_SHARED = 2,    /* the identifier says whose a datagram is */
};

/* Frozen when the classifier is made. */
struct configuration {
    enum format_magic magic;
    enum format_version version;
    __u32 longest; /* packet that a socket can take, in bytes with its Ethernet header */
};

struct address {
    __u8 bytes[16]; /* that of IPv4 as IPv6 writes it, ::ffff:192.0.2.1 */
} __attribute__((aligned(8)));

struct port_key {
    __u8 protocol;
    __u8 pad;
    __be16 number;
};

/* For each CPU, of which all say the same, but for the count. */
struct port {
    enum port_kind kind;
    __u32 slot;                     /* of an exclusive one */
    struct cibir_encoding encoding; /* of a shared one */
    __u8 pad[5];
    __u64 redirected; /* of an exclusive one */
};

struct identifier_key {
    struct cibir_id id;
    struct port_key port;
    __u32 pad;
};

struct identifier {
    __u32 slot;
    __u32 pad;
    __u64 redirected;
};

struct queue {
    __u32 paused;
};

/* Of this host: what is for others is forwarded, or for a container. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_ADDRESSES);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct address);
    __type(value, __u8);
} addresses SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, MAX_PORTS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct port_key);
    __type(value, struct port);
} ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, MAX_IDENTIFIERS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct identifier_key);
    __type(value, struct identifier);
} identifiers SEC(".maps");

/* The socket of a slot for a queue is at slot * MAX_QUEUES + queue. It leaves when it is closed. */
struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, MAX_SLOTS *MAX_QUEUES);
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, MAX_QUEUES);
    __type(key, __u32);
    __type(value, struct queue);
} queues SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_RDONLY_PROG);
    __type(key, __u32);
    __type(value, struct configuration);
} config SEC(".maps");

/* Verdict v of queue q is at q * VERDICTS + v. The last row is that of all queues beyond. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, (MAX_QUEUES + 1) * VERDICTS);
    __type(key, enum verdict);
    __type(value, __u64);
} verdicts SEC(".maps");

/* How many each slot got. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, MAX_SLOTS);
    __type(key, __u32);
    __type(value, __u64);
} redirected SEC(".maps");

/* What is to know of a packet that has a UDP datagram. */
struct datagram {
    struct xdp_md *packet;
    __u64
        payload; /* where it begins in the packet; as wide as a register, which is what the verifier
                      knows bounds of */
    __u64 length; /* of the payload */
    struct port_key port;
    struct address destination;
};

/* Copies what is at this offset of the payload. Says otherwise when it is not all there. */
static __always_inline int load(struct datagram *d, __u32 offset, void *to, __u32 length)
{
    void *at = (void *)(long)d->packet->data + d->payload + offset;
    void *end = (void *)(long)d->packet->data_end;

    if (offset + length > d->length)
        return -1;
    CIBIR_FORGET(
        at); /* or it would compute at + 1 from the beginning, which tells the verifier nothing */
    if (__builtin_constant_p(length) && length == 1 && at + 1 <= end) {
        *(__u8 *)to = *(__u8 *)at;
        return 0;
    }
    return bpf_xdp_load_bytes(d->packet, d->payload + offset, to, length) != 0;
}

/* Whether a packet has as many bytes. They may be in several pieces, of which only the first can be seen. */
static __always_inline int has(struct xdp_md *packet, __u32 bytes)
{
    void *data = (void *)(long)packet->data, *end = (void *)(long)packet->data_end;

    return data + bytes <= end || bytes <= bpf_xdp_get_buff_len(packet);
}

/* Reads the UDP header, which begins at this offset. `length` is that of all that follows the IP header. */
static __always_inline enum verdict parse_udp(struct datagram *d, __u32 offset, __u32 length)
{
    void *end = (void *)(long)d->packet->data_end;
    struct udphdr *udp = (void *)(long)d->packet->data + offset;
    __u32 claimed;

    if ((void *)(udp + 1) > end)
        return MALFORMED;
    claimed = bpf_ntohs(udp->len);
    if (claimed < sizeof(*udp) || claimed > length)
        return MALFORMED;
    if (!has(d->packet, offset + length))
        return MALFORMED;
    d->payload = offset + sizeof(*udp);
    d->length = claimed - sizeof(*udp);
    d->port.protocol = IPPROTO_UDP;
    d->port.number = udp->dest;
    return REDIRECTED;
}

#define IP_FRAGMENT 0x3fff /* more of them, or where it begins */

static __always_inline enum verdict parse_ipv4(struct datagram *d)
{
    void *end = (void *)(long)d->packet->data_end;
    struct iphdr *ip = (void *)(long)d->packet->data + ETH_HLEN;
    __u32 header, total;

    if ((void *)(ip + 1) > end)
        return MALFORMED;
    header = ip->ihl * 4;
    total = bpf_ntohs(ip->tot_len);
    if (ip->version != 4 || header < sizeof(*ip) || total < header)
        return MALFORMED;
    if (ip->protocol != IPPROTO_UDP)
        return NOT_UDP;
    if (ip->frag_off & bpf_htons(IP_FRAGMENT))
        return FRAGMENT;
    *(__u64 *)&d->destination.bytes[0] = 0;
    *(__u32 *)&d->destination.bytes[8] = bpf_htonl(0xffff);
    *(__u32 *)&d->destination.bytes[12] = ip->daddr;
    return parse_udp(d, ETH_HLEN + header, total - header);
}

static __always_inline enum verdict other_than_udp(__u8 header)
{
    switch (header) {
    case IPPROTO_FRAGMENT: return FRAGMENT;
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_AH:
    case IPPROTO_DSTOPTS:
    case IPPROTO_MH: return EXTENSION;
    default: return NOT_UDP;
    }
}

static __always_inline enum verdict parse_ipv6(struct datagram *d)
{
    void *end = (void *)(long)d->packet->data_end;
    struct ipv6hdr *ip = (void *)(long)d->packet->data + ETH_HLEN;

    if ((void *)(ip + 1) > end || ip->version != 6)
        return MALFORMED;
    if (ip->nexthdr != IPPROTO_UDP)
        return other_than_udp(ip->nexthdr);
    __builtin_memcpy(&d->destination, &ip->daddr, sizeof(d->destination));
    return parse_udp(d, ETH_HLEN + sizeof(*ip), bpf_ntohs(ip->payload_len));
}

/* Finds the UDP datagram in a packet: REDIRECTED when there is one. */
static __always_inline enum verdict parse(struct datagram *d)
{
    void *end = (void *)(long)d->packet->data_end;
    struct ethhdr *ethernet = (void *)(long)d->packet->data;

    if ((void *)(ethernet + 1) > end)
        return MALFORMED;
    switch (ethernet->h_proto) {
    case bpf_htons(ETH_P_IP): return parse_ipv4(d);
    case bpf_htons(ETH_P_IPV6): return parse_ipv6(d);
    case bpf_htons(ETH_P_8021Q):
    case bpf_htons(ETH_P_8021AD): return TAGGED;
    default: return NOT_IP;
    }
}

/* Whose a datagram of a shared port is. */
static __always_inline enum verdict find_member(
    struct datagram *d, struct port *port, struct identifier **member)
{
    struct identifier_key key = {};
    struct cibir_encoding encoding = port->encoding;

    switch (cibir_find(d, d->length, &encoding, &key.id)) {
    case CIBIR_FOUND: break;
    case CIBIR_TOO_SHORT: return TOO_SHORT;
    default: return NO_IDENTIFIER;
    }
    key.port = d->port;
    *member = bpf_map_lookup_elem(&identifiers, &key);
    return *member ? REDIRECTED : UNKNOWN_IDENTIFIER;
}

/* Gives a packet to the socket of a slot. */
static __always_inline enum verdict redirect(struct datagram *d, __u32 slot, __u64 *count)
{
    __u32 queue = d->packet->rx_queue_index;
    struct queue *state = bpf_map_lookup_elem(&queues, &queue);
    __u64 *total;

    if (!state || slot >= MAX_SLOTS)
        return NO_SOCKET;
    if (state->paused)
        return PAUSED;
    if (bpf_redirect_map(&sockets, slot * MAX_QUEUES + queue, XDP_PASS) != XDP_REDIRECT)
        return NO_SOCKET;
    ++*count;
    total = bpf_map_lookup_elem(&redirected, &slot);
    if (total)
        ++*total;
    return REDIRECTED;
}

static __always_inline int is_too_long(struct datagram *d)
{
    __u32 zero = 0;
    struct configuration *c = bpf_map_lookup_elem(&config, &zero);

    return !c || d->payload + d->length > c->longest;
}

static __always_inline enum verdict judge(struct xdp_md *packet)
{
    struct datagram d = {.packet = packet};
    enum verdict v = parse(&d);
    struct identifier *member;
    struct port *port;

    if (v)
        return v;
    port = bpf_map_lookup_elem(&ports, &d.port);
    if (!port)
        return NO_PORT;
    if (!bpf_map_lookup_elem(&addresses, &d.destination))
        return NOT_LOCAL;
    if (is_too_long(&d))
        return TOO_LONG;
    if (port->kind == PORT_EXCLUSIVE)
        return redirect(&d, port->slot, &port->redirected);
    v = find_member(&d, port, &member);
    return v ? v : redirect(&d, member->slot, &member->redirected);
}

SEC("xdp.frags")
int msquicxdp_classify(struct xdp_md *packet)
{
    enum verdict v = judge(packet);
    __u32 queue = packet->rx_queue_index, index;
    __u64 *counter;

    if (queue > MAX_QUEUES)
        queue = MAX_QUEUES;
    index = queue * VERDICTS + v;
    counter = bpf_map_lookup_elem(&verdicts, &index);
    if (counter)
        ++*counter;
    return v == REDIRECTED ? XDP_REDIRECT : XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
