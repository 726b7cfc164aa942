/* SPDX-License-Identifier: MIT */
/* peer.c - plain kernel sockets. */
#define _GNU_SOURCE
#include "host/peer.h"

#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "host/address.h"
#include "host/order.h"
#include "host/wait.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

bool peer_set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static int bound(const QUIC_ADDR *local, int kind)
{
    int fd = socket(local->Ip.sa_family, kind | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, &local->Ip, addr_length(local)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int peer_udp(const QUIC_ADDR *local)
{
    int fd = bound(local, SOCK_DGRAM);
    if (fd < 0) {
        return -1;
    }
    if (local->Ip.sa_family == AF_INET6) {
        peer_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        peer_set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        peer_set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    }
    peer_set(fd, IPPROTO_IP, IP_PKTINFO, 1);
    peer_set(fd, IPPROTO_IP, IP_RECVTOS, 1);
    peer_set(fd, IPPROTO_IP, IP_RECVTTL, 1);
    peer_set(fd, SOL_SOCKET, SO_RCVBUF, 1 << 30);
    return fd;
}

static void limit_time(int fd)
{
    struct timeval t = {.tv_sec = HOST_DEADLINE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

int peer_tcp(const QUIC_ADDR *remote)
{
    int fd = socket(remote->Ip.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    limit_time(fd);
    order_before_event();
    if (connect(fd, &remote->Ip, addr_length(remote)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int peer_tcp_listener(const QUIC_ADDR *local)
{
    int fd = bound(local, SOCK_STREAM);
    if (fd < 0 || listen(fd, 16) != 0) {
        return -1;
    }
    limit_time(fd);
    return fd;
}

QUIC_ADDR peer_address(int fd)
{
    QUIC_ADDR a;
    socklen_t length = sizeof(a);
    memset(&a, 0, sizeof(a));
    getsockname(fd, &a.Ip, &length);
    return a;
}

bool peer_send(int fd, const QUIC_ADDR *to, const void *data, size_t length)
{
    order_before_event();
    return sendto(fd, data, length, 0, &to->Ip, addr_length(to)) == (ssize_t)length;
}

bool peer_send_segmented(
    int fd, const QUIC_ADDR *to, const void *data, size_t length, uint16_t segment)
{
    union {
        struct cmsghdr h;
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
    } control;
    memset(&control, 0, sizeof(control));
    control.h = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(segment)), .cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT};
    memcpy(CMSG_DATA(&control.h), &segment, sizeof(segment));
    struct iovec iov = {(void *)data, length};
    struct msghdr m = {
        .msg_name = (void *)to,
        .msg_namelen = addr_length(to),
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    order_before_event();
    return sendmsg(fd, &m, 0) == (ssize_t)length;
}

static void unmap(QUIC_ADDR *a)
{
    if (a->Ip.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->Ipv6.sin6_addr)) {
        QUIC_ADDR v4 = addr("0.0.0.0", addr_port(a));
        memcpy(&v4.Ipv4.sin_addr, &a->Ipv6.sin6_addr.s6_addr[12], 4);
        v4.Ipv6.sin6_scope_id = a->Ipv6.sin6_scope_id;
        *a = v4;
    }
}

static void read_control(struct peer_packet *p, const struct cmsghdr *c)
{
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
        p->tos = *CMSG_DATA(c);
    } else if ((c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)) {
        memcpy(&p->tos, CMSG_DATA(c), sizeof(int));
    } else if (
        (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
        (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
        memcpy(&p->ttl, CMSG_DATA(c), sizeof(int));
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof(info));
        p->to = addr("0.0.0.0", 0);
        p->to.Ipv4.sin_addr = info.ipi_addr;
        p->to.Ipv6.sin6_scope_id = (uint32_t)info.ipi_ifindex;
    } else if (
        c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
        p->to.Ip.sa_family != AF_INET) {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof(info));
        p->to = addr("::", 0);
        p->to.Ipv6.sin6_addr = info.ipi6_addr;
        p->to.Ipv6.sin6_scope_id = info.ipi6_ifindex;
        unmap(&p->to);
    }
}

static bool await(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

bool peer_receive(int fd, struct peer_packet *p)
{
    char control[512];
    memset(p, 0, offsetof(struct peer_packet, data));
    p->tos = p->ttl = -1;
    struct iovec iov = {p->data, sizeof(p->data)};
    struct msghdr m = {
        .msg_name = &p->from,
        .msg_namelen = sizeof(p->from),
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    if (!await(fd, HOST_DEADLINE_MS)) {
        return false;
    }
    ssize_t n = recvmsg(fd, &m, 0);
    if (n < 0) {
        return false;
    }
    p->length = (size_t)n;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
        read_control(p, c);
    }
    unmap(&p->from);
    return true;
}

bool peer_has_mail(int fd)
{
    return await(fd, 0);
}

bool peer_write(int fd, const void *data, size_t length)
{
    const char *p = data;
    order_before_event();
    while (length > 0) {
        ssize_t n = send(fd, p, length, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        p += n;
        length -= (size_t)n;
    }
    return true;
}

bool peer_read(int fd, void *data, size_t length)
{
    return recv(fd, data, length, MSG_WAITALL) == (ssize_t)length;
}

bool peer_read_end(int fd)
{
    char bytes[4096];
    while (await(fd, HOST_DEADLINE_MS)) {
        if (recv(fd, bytes, sizeof(bytes), 0) <= 0) {
            return true;
        }
    }
    return false;
}
