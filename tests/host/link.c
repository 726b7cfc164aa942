/* SPDX-License-Identifier: MIT */
/* link.c - small requests of rtnetlink. */
#include "host/link.h"

#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/wait.h"

/* A request under construction: header, body, attributes. */
struct request {
    struct nlmsghdr h;
    union {
        struct ifinfomsg link;
        struct ifaddrmsg address;
        struct rtmsg route;
        struct tcmsg queueing;
        struct ndmsg neighbour;
    } body;
    char attributes[1024];
};

static void begin(struct request *r, uint16_t type, uint16_t flags, size_t body)
{
    memset(r, 0, sizeof(*r));
    r->h.nlmsg_type = type;
    r->h.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    r->h.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
}

static struct rtattr *add(struct request *r, uint16_t type, const void *data, size_t length)
{
    struct rtattr *a = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->h.nlmsg_len));
    a->rta_type = type;
    a->rta_len = (uint16_t)RTA_LENGTH(length);
    if (length != 0) {
        memcpy(RTA_DATA(a), data, length);
    }
    r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + (uint32_t)RTA_ALIGN(a->rta_len);
    return a;
}

static void add_string(struct request *r, uint16_t type, const char *text)
{
    add(r, type, text, strlen(text) + 1);
}

/* An attribute that contains what is added between open and close. */
static struct rtattr *open_nest(struct request *r, uint16_t type)
{
    return add(r, type, NULL, 0);
}

static void close_nest(struct request *r, struct rtattr *nest)
{
    nest->rta_len = (uint16_t)((char *)r + r->h.nlmsg_len - (char *)nest);
}

/* Sends a request and reads what comes back; its length, or -1. */
static ssize_t converse(const struct request *r, void *reply, size_t room)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) {
        return -1;
    }
    bool sent = send(fd, r, r->h.nlmsg_len, 0) == (ssize_t)r->h.nlmsg_len;
    ssize_t n = sent ? recv(fd, reply, room, 0) : -1;
    int error = errno;
    close(fd);
    errno = error;
    return n;
}

union reply {
    struct nlmsghdr h;
    char bytes[4096];
};

static bool ask(const struct request *r)
{
    union reply reply;
    ssize_t n = converse(r, &reply, sizeof(reply));
    if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) || reply.h.nlmsg_type != NLMSG_ERROR) {
        errno = n < 0 ? errno : EPROTO;
        return false;
    }
    const struct nlmsgerr *e = NLMSG_DATA(&reply.h);
    errno = -e->error;
    return e->error == 0;
}

/* Looks again after every notice of a group of rtnetlink, until what is asked for holds. */
static bool wait_until(
    uint32_t group,
    bool (*holds)(const char *name, const QUIC_ADDR *address),
    const char *name,
    const QUIC_ADDR *address)
{
    struct sockaddr_nl notices = {.nl_family = AF_NETLINK, .nl_groups = group};
    struct timespec deadline = host_deadline(HOST_DEADLINE_MS);
    char notice[4096];
    bool ok = false;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&notices, sizeof(notices)) == 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        while (!(ok = holds(name, address)) && poll(&p, 1, host_remaining_ms(&deadline)) == 1) {
            (void)!recv(fd, notice, sizeof(notice), MSG_DONTWAIT);
        }
    }
    close(fd);
    return ok;
}

static bool set_flags(const char *name, unsigned flags)
{
    struct request r;
    begin(&r, RTM_NEWLINK, 0, sizeof(r.body.link));
    r.body.link.ifi_index = (int)if_nametoindex(name);
    r.body.link.ifi_flags = flags;
    r.body.link.ifi_change = IFF_UP;
    return ask(&r);
}

bool link_up(const char *name)
{
    return set_flags(name, IFF_UP);
}

bool link_down(const char *name)
{
    return set_flags(name, 0);
}

static bool is_usable(const char *name, const QUIC_ADDR *unused)
{
    struct ifreq r;
    (void)unused;
    memset(&r, 0, sizeof(r));
    strncpy(r.ifr_name, name, sizeof(r.ifr_name) - 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool usable = ioctl(fd, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_RUNNING) != 0;
    close(fd);
    return usable;
}

bool link_wait_usable(const char *name)
{
    return wait_until(RTMGRP_LINK, is_usable, name, NULL);
}

bool link_set_mtu(const char *name, unsigned mtu)
{
    struct request r;
    begin(&r, RTM_NEWLINK, 0, sizeof(r.body.link));
    r.body.link.ifi_index = (int)if_nametoindex(name);
    add(&r, IFLA_MTU, &(uint32_t){mtu}, sizeof(uint32_t));
    return ask(&r);
}

bool link_add_veth(const char *name, const char *peer)
{
    struct request r;
    begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(r.body.link));
    add_string(&r, IFLA_IFNAME, name);
    struct rtattr *info = open_nest(&r, IFLA_LINKINFO);
    add_string(&r, IFLA_INFO_KIND, "veth");
    struct rtattr *data = open_nest(&r, IFLA_INFO_DATA);
    struct rtattr *other =
        add(&r, VETH_INFO_PEER, &(struct ifinfomsg){0}, sizeof(struct ifinfomsg));
    add_string(&r, IFLA_IFNAME, peer);
    close_nest(&r, other);
    close_nest(&r, data);
    close_nest(&r, info);
    return ask(&r);
}

bool link_delete(const char *name)
{
    struct request r;
    begin(&r, RTM_DELLINK, 0, sizeof(r.body.link));
    r.body.link.ifi_index = (int)if_nametoindex(name);
    return ask(&r);
}

bool link_move(const char *name, int net_namespace)
{
    struct request r;
    begin(&r, RTM_NEWLINK, 0, sizeof(r.body.link));
    r.body.link.ifi_index = (int)if_nametoindex(name);
    add(&r, IFLA_NET_NS_FD, &(uint32_t){(uint32_t)net_namespace}, sizeof(uint32_t));
    return ask(&r);
}

static bool is_gone(const char *name, const QUIC_ADDR *unused)
{
    (void)unused;
    return if_nametoindex(name) == 0;
}

bool link_wait_gone(const char *name)
{
    return wait_until(RTMGRP_LINK, is_gone, name, NULL);
}

static const void *ip_of(const QUIC_ADDR *address, size_t *length)
{
    *length = address->Ip.sa_family == AF_INET ? 4 : 16;
    return *length == 4 ? (const void *)&address->Ipv4.sin_addr : &address->Ipv6.sin6_addr;
}

static bool change_address(
    uint16_t type, uint16_t flags, const char *name, const QUIC_ADDR *address, unsigned prefix)
{
    struct request r;
    size_t length;
    const void *ip = ip_of(address, &length);
    begin(&r, type, flags, sizeof(r.body.address));
    r.body.address.ifa_family = (uint8_t)address->Ip.sa_family;
    r.body.address.ifa_prefixlen = (uint8_t)prefix;
    r.body.address.ifa_index = if_nametoindex(name);
    r.body.address.ifa_flags = IFA_F_NODAD;
    add(&r, IFA_LOCAL, ip, length);
    add(&r, IFA_ADDRESS, ip, length);
    return ask(&r);
}

bool link_add_address(const char *name, const QUIC_ADDR *address, unsigned prefix)
{
    return change_address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, name, address, prefix);
}

bool link_delete_address(const char *name, const QUIC_ADDR *address, unsigned prefix)
{
    return change_address(RTM_DELADDR, 0, name, address, prefix);
}

bool link_mac(const char *name, uint8_t mac[6])
{
    struct ifreq request = {0};
    strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && ioctl(fd, SIOCGIFHWADDR, &request) == 0;
    close(fd);
    memcpy(mac, request.ifr_hwaddr.sa_data, 6);
    return ok;
}

bool link_add_neighbour(const char *name, const QUIC_ADDR *address, const uint8_t mac[6])
{
    struct request r;
    size_t length;
    const void *ip = ip_of(address, &length);
    begin(&r, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(r.body.neighbour));
    r.body.neighbour.ndm_family = (uint8_t)address->Ip.sa_family;
    r.body.neighbour.ndm_ifindex = (int)if_nametoindex(name);
    r.body.neighbour.ndm_state = NUD_PERMANENT;
    add(&r, NDA_DST, ip, length);
    add(&r, NDA_LLADDR, mac, 6);
    return ask(&r);
}

/* Asks the kernel for the way to an address. */
static bool is_local(const char *name, const QUIC_ADDR *address)
{
    struct request r;
    union reply reply;
    size_t length;
    const void *ip = ip_of(address, &length);
    begin(&r, RTM_GETROUTE, 0, sizeof(r.body.route));
    r.h.nlmsg_flags = NLM_F_REQUEST;
    r.body.route.rtm_family = (uint8_t)address->Ip.sa_family;
    add(&r, RTA_DST, ip, length);
    add(&r, RTA_OIF, &(uint32_t){if_nametoindex(name)}, sizeof(uint32_t));
    ssize_t n = converse(&r, &reply, sizeof(reply));
    const struct rtmsg *route = NLMSG_DATA(&reply.h);
    return n > 0 && reply.h.nlmsg_type == RTM_NEWROUTE && route->rtm_type == RTN_LOCAL;
}

bool link_wait_local(const char *name, const QUIC_ADDR *address)
{
    return wait_until(RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_ROUTE, is_local, name, address);
}

bool link_add_default_route(const char *name, const QUIC_ADDR *gateway)
{
    struct request r;
    size_t length;
    const void *ip = ip_of(gateway, &length);
    begin(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(r.body.route));
    r.body.route.rtm_family = (uint8_t)gateway->Ip.sa_family;
    r.body.route.rtm_table = RT_TABLE_MAIN;
    r.body.route.rtm_protocol = RTPROT_STATIC;
    r.body.route.rtm_scope = RT_SCOPE_UNIVERSE;
    r.body.route.rtm_type = RTN_UNICAST;
    add(&r, RTA_GATEWAY, ip, length);
    add(&r, RTA_OIF, &(uint32_t){if_nametoindex(name)}, sizeof(uint32_t));
    return ask(&r);
}

static void begin_local_route(
    struct request *r, uint16_t type, uint16_t flags, const char *name, const QUIC_ADDR *address)
{
    size_t length;
    const void *ip = ip_of(address, &length);
    begin(r, type, flags, sizeof(r->body.route));
    r->body.route.rtm_family = (uint8_t)address->Ip.sa_family;
    r->body.route.rtm_dst_len = (uint8_t)(length * 8);
    r->body.route.rtm_table = RT_TABLE_LOCAL;
    r->body.route.rtm_protocol = RTPROT_STATIC;
    r->body.route.rtm_scope = RT_SCOPE_HOST;
    r->body.route.rtm_type = RTN_LOCAL;
    add(r, RTA_DST, ip, length);
    add(r, RTA_OIF, &(uint32_t){if_nametoindex(name)}, sizeof(uint32_t));
}

bool link_add_local_route(const char *name, const QUIC_ADDR *address, unsigned mtu)
{
    struct request r;
    begin_local_route(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, name, address);
    struct rtattr *metrics = open_nest(&r, RTA_METRICS);
    add(&r, RTAX_MTU, &(uint32_t){mtu}, sizeof(uint32_t));
    close_nest(&r, metrics);
    return ask(&r);
}

bool link_delete_local_route(const char *name, const QUIC_ADDR *address)
{
    struct request r;
    begin_local_route(&r, RTM_DELROUTE, 0, name, address);
    return ask(&r);
}

bool link_add_host_route(const char *name, const QUIC_ADDR *address, const QUIC_ADDR *source)
{
    struct request r;
    size_t length;
    const void *ip = ip_of(address, &length);
    begin(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(r.body.route));
    r.body.route.rtm_family = (uint8_t)address->Ip.sa_family;
    r.body.route.rtm_dst_len = (uint8_t)(8 * length);
    r.body.route.rtm_table = RT_TABLE_MAIN;
    r.body.route.rtm_protocol = RTPROT_STATIC;
    r.body.route.rtm_scope = RT_SCOPE_LINK;
    r.body.route.rtm_type = RTN_UNICAST;
    add(&r, RTA_DST, ip, length);
    add(&r, RTA_PREFSRC, ip_of(source, &length), length);
    add(&r, RTA_OIF, &(uint32_t){if_nametoindex(name)}, sizeof(uint32_t));
    return ask(&r);
}

static void begin_queueing(struct request *r, uint16_t type, uint16_t flags, const char *name)
{
    begin(r, type, flags, sizeof(r->body.queueing));
    r->body.queueing.tcm_ifindex = (int)if_nametoindex(name);
    r->body.queueing.tcm_handle = 0x10000; /* 1: */
    r->body.queueing.tcm_parent = TC_H_ROOT;
}

bool link_limit_rate(const char *name, uint32_t bytes_per_second)
{
    struct request r;
    struct tc_tbf_qopt parameters = {
        .rate = {.linklayer = TC_LINKLAYER_ETHERNET, .rate = bytes_per_second},
        .limit = 64u << 20,
    };
    begin_queueing(&r, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, name);
    add_string(&r, TCA_KIND, "tbf");
    struct rtattr *options = open_nest(&r, TCA_OPTIONS);
    add(&r, TCA_TBF_PARMS, &parameters, sizeof(parameters));
    add(&r, TCA_TBF_BURST, &(uint32_t){128u << 10}, sizeof(uint32_t));
    close_nest(&r, options);
    return ask(&r);
}

bool link_unlimit_rate(const char *name)
{
    struct request r;
    begin_queueing(&r, RTM_DELQDISC, 0, name);
    return ask(&r);
}
