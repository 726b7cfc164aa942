/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
//go:build ignore

/*
 * classifier.bpf.c - decides for each packet that an interface receives which datapath it is for.
 *
 * A packet for one of ours goes to its AF_XDP socket. Every other packet goes on to the network stack of the
 * kernel, as if the program were not there: it drops nothing, and changes nothing.
 *
 * Package datapath/classifier loads it and writes the maps, from several processes at once. Another version of
 * this project may be in another process: what the maps mean is fixed by FORMAT_VERSION.
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
static __always_inline int load(struct datagram *d, __u64 offset, void *to, __u32 length);
#define CIBIR_LOAD(packet, offset, to, length) load(packet, offset, to, length)
#include "cibir.h"

#define MAX_SLOTS 1024 /* one for each datapath */
#define MAX_QUEUES 64  /* of the interface; what comes by a later one is passed on */
#define MAX_ADDRESSES 4096
#define MAX_PORTS 65536
#define MAX_IDENTIFIERS 16384
#define MAX_SHORT_ID 5 /* bytes: those that servers use in practice */
#define RECENT_BITS 4

enum format_magic {
    FORMAT_MAGIC = 0x5858514d, /* "MQXX" in memory */
};

/* Raise it with every change of what a map holds or means. */
enum format_version {
    FORMAT_VERSION = 1,
};

/* Every packet is counted as exactly one of them. All but the first are passed on. */
enum verdict {
    REDIRECTED,         /* or, until then, nothing speaks against it */
    NOT_IP,             /* by its ethertype */
    TAGGED,             /* with a VLAN, which the kernel knows */
    MALFORMED,          /* its lengths contradict each other, or the headers are not in one piece */
    FRAGMENT,           /* of an IP packet */
    EXTENSION,          /* has IPv6 extension headers */
    NOT_UDP,            /* by its IP header */
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
    PORT_FREE,
    PORT_EXCLUSIVE,        /* its datagrams are all for one slot */
    PORT_SHARED,           /* the identifier says whose a datagram is */
} __attribute__((packed)); /* one byte */

/* Frozen when the classifier is made. */
struct configuration {
    enum format_magic magic;
    enum format_version version;
    __u32 longest; /* packet that a socket can take, in bytes with its Ethernet header */
};

/* In the order of the wire. That of IPv4 is written ::ffff:192.0.2.1. */
struct address {
    __u64 halves[2];
};

struct recent {
    struct address address;
    __u64 generation; /* of the addresses when it was found */
};

/* Of UDP. It is read, and written, at once. */
struct port {
    enum port_kind kind;
    struct cibir_encoding encoding; /* of a shared one */
    __u32 slot;                     /* of an exclusive one */
} __attribute__((aligned(8)));

/* Bytes beyond the length are zero. */
struct identifier_key {
    __u8 bytes[CIBIR_MAX_ID];
    __u8 length;
    __u8 protocol;
    __be16 port;
} __attribute__((aligned(8)));

/* The same of a short one, of UDP: a single word, with which the hash is much quicker. */
struct short_id_key {
    __u8 bytes[MAX_SHORT_ID];
    __u8 length;
    __be16 port;
} __attribute__((aligned(8)));

/* For each CPU, of which all name the same slot. */
struct identifier {
    __u32 slot;
    __u32 pad;
    __u64 redirected;
};

struct queue {
    __u32 paused;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_RDONLY_PROG);
    __type(key, __u32);
    __type(value, struct configuration);
} config SEC(".maps");

/* Of this host: what is for others is forwarded, or for a container. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_ADDRESSES);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct address);
    __type(value, __u8);
} addresses SEC(".maps");

/* Another number after each change of the addresses. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} generation SEC(".maps");

/* What was found in addresses lately, by bits of the address: to look there costs a quarter of a whole packet. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1 << RECENT_BITS);
    __type(key, __u32);
    __type(value, struct recent);
} recent SEC(".maps");

/* An array, which is far quicker than a hash. Processes map it, to compare and swap. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, MAX_PORTS);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct port);
} ports SEC(".maps");

/* Those that are not short. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, MAX_IDENTIFIERS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct identifier_key);
    __type(value, struct identifier);
} identifiers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, MAX_IDENTIFIERS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct short_id_key);
    __type(value, struct identifier);
} short_ids SEC(".maps");

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

/*
 * A UDP datagram in a packet. What is as wide as a register keeps its bounds, for the verifier, when the compiler
 * puts it on the stack.
 */
struct datagram {
    struct xdp_md *packet;
    __u64 payload;    /* where it begins in the packet */
    __u64 length;     /* of the payload */
    __u64 identifier; /* where it begins in the packet */
    __u64 end;        /* of the IP packet */
    __be16 port;
};

static __always_inline void *begin_of(struct xdp_md *packet)
{
    return (void *)(long)packet->data;
}

/* The end of the first piece, which is the only one that can be read directly. */
static __always_inline void *end_of(struct xdp_md *packet)
{
    return (void *)(long)packet->data_end;
}

/* Whether a packet has as many bytes, in all its pieces. */
static __always_inline int has(struct xdp_md *packet, __u64 bytes)
{
    return begin_of(packet) + bytes <= end_of(packet) || bytes <= bpf_xdp_get_buff_len(packet);
}

/*
 * Reads a byte of the payload, or learns where the identifier is, which copy_identifier reads: that is the only one whose
 * length is no constant.
 */
static __always_inline int load(struct datagram *d, __u64 offset, void *to, __u32 length)
{
    __u8 *at = begin_of(d->packet) + d->payload + offset;

    if (offset + length > d->length)
        return -1;
    if (!__builtin_constant_p(length)) {
        d->identifier = d->payload + offset;
        return 0;
    }
    /* Or the compiler would compute at + 1 from the beginning, from which the verifier learns nothing of at. */
    CIBIR_FORGET(at);
    if ((void *)(at + 1) > end_of(d->packet))
        return bpf_xdp_load_bytes(d->packet, d->payload + offset, to, 1) != 0;
    *(__u8 *)to = *at;
    return 0;
}

/* The first n bytes of a word, of 1 to 8. */
#define FIRST(n, word) ((word) & ~0ULL >> (64 - 8 * (n)))

/*
 * Copies the identifier, which has n bytes, to the beginning of words, which it fills up with zero. It reads and
 * writes whole words: the processor is slow to read as one what has been written in parts. Seldom a datagram ends so
 * early that this would read too far.
 */
static __always_inline int copy_identifier(struct datagram *d, __u64 n, __u64 words[3])
{
    const __u64 *at = begin_of(d->packet) + d->identifier;

    words[0] = words[1] = words[2] = 0;
    CIBIR_FORGET(at);
    if (n <= 8 && (void *)(at + 1) <= end_of(d->packet)) {
        words[0] = FIRST(n, at[0]);
        return 0;
    }
    if (n > 8 && (void *)(at + 3) <= end_of(d->packet)) {
        words[0] = at[0];
        words[1] = n < 16 ? FIRST(n - 8, at[1]) : at[1];
        if (n > 16)
            words[2] = FIRST(n - 16, at[2]);
        return 0;
    }
    CIBIR_FORGET(n);
    if (n < 1 || n > CIBIR_MAX_ID)
        return -1;
    return bpf_xdp_load_bytes(d->packet, d->identifier, words, n);
}

/* Reads the UDP header, which begins at this offset. `length` is that of all that follows the IP header. */
static __always_inline enum verdict parse_udp(struct datagram *d, __u64 offset, __u32 length)
{
    struct udphdr *udp = begin_of(d->packet) + offset;
    __u32 claimed;

    if ((void *)(udp + 1) > end_of(d->packet))
        return MALFORMED;
    claimed = bpf_ntohs(udp->len);
    if (claimed < sizeof(*udp) || claimed > length || !has(d->packet, offset + length))
        return MALFORMED;
    d->payload = offset + sizeof(*udp);
    d->length = claimed - sizeof(*udp);
    d->end = offset + length;
    d->port = udp->dest;
    return REDIRECTED;
}

#define IP_FRAGMENT 0x3fff /* that more follow, or where this one begins */

/* How an address of IPv4 is written: the first four bytes of the second half; the first half is zero. */
#define MAPPED ((__u64)bpf_htonl(0xffff))
#define MAPPED_BYTES 0xffffffffULL

static __always_inline enum verdict parse_ipv4(struct datagram *d, struct address *to)
{
    struct iphdr *ip = begin_of(d->packet) + ETH_HLEN;
    __u32 header, total;

    if ((void *)(ip + 1) > end_of(d->packet))
        return MALFORMED;
    header = ip->ihl * 4;
    total = bpf_ntohs(ip->tot_len);
    if (ip->version != 4 || header < sizeof(*ip) || total < header)
        return MALFORMED;
    if (ip->protocol != IPPROTO_UDP)
        return NOT_UDP;
    if (ip->frag_off & bpf_htons(IP_FRAGMENT))
        return FRAGMENT;
    to->halves[0] = 0;
    to->halves[1] = (__u64)ip->daddr << 32 | MAPPED;
    return parse_udp(d, ETH_HLEN + header, total - header);
}

/* Of a packet whose IPv6 header is followed by this one. */
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

static __always_inline enum verdict parse_ipv6(struct datagram *d, struct address *to)
{
    struct ipv6hdr *ip = begin_of(d->packet) + ETH_HLEN;

    if ((void *)(ip + 1) > end_of(d->packet) || ip->version != 6)
        return MALFORMED;
    if (ip->nexthdr != IPPROTO_UDP)
        return other_than_udp(ip->nexthdr);
    __builtin_memcpy(to, &ip->daddr, sizeof(*to));
    if (to->halves[0] == 0 && (to->halves[1] & MAPPED_BYTES) == MAPPED)
        return NOT_LOCAL; /* is not one of IPv4, though written alike */
    return parse_udp(d, ETH_HLEN + sizeof(*ip), bpf_ntohs(ip->payload_len));
}

/* Finds the datagram in a packet, and whom it is for. */
static __always_inline enum verdict parse(struct datagram *d, struct address *to)
{
    struct ethhdr *ethernet = begin_of(d->packet);

    if ((void *)(ethernet + 1) > end_of(d->packet))
        return MALFORMED;
    switch (ethernet->h_proto) {
    case bpf_htons(ETH_P_IP): return parse_ipv4(d, to);
    case bpf_htons(ETH_P_IPV6): return parse_ipv6(d, to);
    case bpf_htons(ETH_P_8021Q):
    case bpf_htons(ETH_P_8021AD): return TAGGED;
    default: return NOT_IP;
    }
}

/* Reads the rule of a port. */
static __always_inline struct port rule_of(__be16 number)
{
    __u32 index = bpf_ntohs(number);
    const struct port *found = bpf_map_lookup_elem(&ports, &index);
    union {
        __u64 word;
        struct port port;
    } rule = {0};

    if (found)
        rule.word = *(const volatile __u64 *)found;
    return rule.port;
}

/* Whether this host has an address. */
static __always_inline int is_local(struct address *a)
{
    __u32 zero = 0,
          place = (a->halves[0] ^ a->halves[1]) * 0x9e3779b97f4a7c15 >> (64 - RECENT_BITS);
    volatile __u64 *current = bpf_map_lookup_elem(&generation, &zero);
    struct recent *r = bpf_map_lookup_elem(&recent, &place);
    __u64 before, nothing;

    if (!current || !r)
        return 0;
    before = *current;
    if (r->generation == before && r->address.halves[0] == a->halves[0] &&
        r->address.halves[1] == a->halves[1])
        return 1;
    /*
     * Whoever removes the address after it is found here changes the generation afterwards. So the generation
     * must be read first, also by processors that take what is ready: the key is made to depend on it.
     */
    nothing = before;
    CIBIR_FORGET(nothing);
    a->halves[0] ^= nothing ^ before;
    if (!bpf_map_lookup_elem(&addresses, a))
        return 0;
    r->address = *a;
    r->generation = before;
    return 1;
}

/* Whether a packet that ends there is longer than a socket can take. */
static __always_inline int is_too_long(__u64 end)
{
    __u32 zero = 0;
    struct configuration *c = bpf_map_lookup_elem(&config, &zero);

    return !c || end > c->longest;
}

/* Looks up the identifier of n bytes that begins words, and puts the rest of its key behind it. */
static __always_inline struct identifier *look_up(__u64 n, __u64 port, __u64 words[3])
{
    struct identifier *found;

    if (n <= MAX_SHORT_ID) {
        words[0] |= n << 40 | port << 48; /* struct short_id_key */
        found = bpf_map_lookup_elem(&short_ids, words);
        __asm__ volatile(
            ""); /* or it would make one call of the two, which the kernel could not inline */
        return found;
    }
    words[2] |= n << 32 | (__u64)IPPROTO_UDP << 40 | port << 48; /* struct identifier_key */
    return bpf_map_lookup_elem(&identifiers, words);
}

/* Finds whose a datagram of a shared port is. */
static __always_inline enum verdict find_member(
    struct datagram *d, struct cibir_encoding *encoding, struct identifier **member)
{
    struct cibir_id unread;
    __u64 words[3];

    switch (cibir_find(d, d->length, encoding, &unread)) {
    case CIBIR_FOUND: break;
    case CIBIR_TOO_SHORT: return TOO_SHORT;
    default: return NO_IDENTIFIER;
    }
    if (copy_identifier(d, encoding->length, words))
        return TOO_SHORT;
    *member = look_up(encoding->length, d->port, words);
    return *member ? REDIRECTED : UNKNOWN_IDENTIFIER;
}

/* Gives a packet to the socket of a slot. */
static __always_inline enum verdict redirect(struct xdp_md *packet, __u32 slot)
{
    __u32 queue = packet->rx_queue_index;
    struct queue *state = bpf_map_lookup_elem(&queues, &queue);
    __u64 *count = bpf_map_lookup_elem(&redirected, &slot);

    if (!state || !count)
        return NO_SOCKET;
    if (state->paused)
        return PAUSED;
    if (bpf_redirect_map(&sockets, slot * MAX_QUEUES + queue, XDP_PASS) != XDP_REDIRECT)
        return NO_SOCKET;
    ++*count;
    return REDIRECTED;
}

static __always_inline enum verdict judge(struct xdp_md *packet)
{
    struct datagram d = {.packet = packet};
    struct identifier *member;
    struct address to;
    struct port port;
    enum verdict v;

    v = parse(&d, &to);
    if (v)
        return v;
    port = rule_of(d.port);
    if (port.kind == PORT_FREE)
        return NO_PORT;
    if (!is_local(&to))
        return NOT_LOCAL;
    if (is_too_long(d.end))
        return TOO_LONG;
    if (port.kind == PORT_EXCLUSIVE)
        return redirect(packet, port.slot);
    v = find_member(&d, &port.encoding, &member);
    if (v)
        return v;
    v = redirect(packet, member->slot);
    if (v == REDIRECTED)
        ++member->redirected;
    return v;
}

static __always_inline void count(struct xdp_md *packet, enum verdict v)
{
    __u32 queue = packet->rx_queue_index, index;
    __u64 *counter;

    if (queue > MAX_QUEUES)
        queue = MAX_QUEUES;
    index = queue * VERDICTS + v;
    counter = bpf_map_lookup_elem(&verdicts, &index);
    if (counter)
        ++*counter;
}

SEC("xdp.frags")
int msquicxdp_classify(struct xdp_md *packet)
{
    enum verdict v = judge(packet);

    count(packet, v);
    return v == REDIRECTED ? XDP_REDIRECT : XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
