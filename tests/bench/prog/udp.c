/* SPDX-License-Identifier: MIT */
/* udp.c - opening sockets, waiting, control messages. */
#include "udp.h"

#include <limits.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include "fail.h"
#include "worker.h"

static void set(int fd, int level, int option, int value)
{
    must(setsockopt(fd, level, option, &value, sizeof(value)) == 0);
}

int udp_open(const struct options *o)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    set(fd, IPPROTO_IP, IP_PKTINFO, 1);
    set(fd, IPPROTO_IP, IP_RECVTOS, 1);
    set(fd, IPPROTO_IP, IP_RECVTTL, 1);
    set(fd, IPPROTO_UDP, UDP_GRO, 1);
    set(fd, SOL_SOCKET, SO_RCVBUF, INT_MAX); /* the kernel takes what it allows */
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr = o->local};
    must(bind(fd, (struct sockaddr *)&local, sizeof(local)) == 0);
    return fd;
}

void udp_connect(int fd, const struct options *o)
{
    struct sockaddr_in remote = {
        .sin_family = AF_INET, .sin_addr = o->remote, .sin_port = htons((uint16_t)o->port)};
    must(connect(fd, (struct sockaddr *)&remote, sizeof(remote)) == 0);
}

unsigned udp_port(int fd)
{
    struct sockaddr_in local;
    socklen_t length = sizeof(local);
    must(getsockname(fd, (struct sockaddr *)&local, &length) == 0);
    return ntohs(local.sin_port);
}

bool udp_wait(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, STOP_CHECK_MS) > 0;
}

static void *add(struct tx_control *c, int level, int type, size_t size)
{
    struct cmsghdr *header = (struct cmsghdr *)(c->data + c->length);
    c->length += CMSG_SPACE(size);
    if (c->length > UDP_TX_CONTROL) {
        fail("control messages need more than %d bytes", UDP_TX_CONTROL);
    }
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(size);
    return CMSG_DATA(header);
}

void tx_control_segment(struct tx_control *c, uint16_t segment)
{
    memcpy(add(c, IPPROTO_UDP, UDP_SEGMENT, sizeof(segment)), &segment, sizeof(segment));
}

void tx_control_source(struct tx_control *c, struct in_addr source, int interface)
{
    struct in_pktinfo info = {.ipi_spec_dst = source, .ipi_ifindex = interface};
    memcpy(add(c, IPPROTO_IP, IP_PKTINFO, sizeof(info)), &info, sizeof(info));
}
