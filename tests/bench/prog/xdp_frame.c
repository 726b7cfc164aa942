/* SPDX-License-Identifier: MIT */
/* xdp_frame.c - headers of Ethernet, IPv4 and UDP. */
#include "xdp_frame.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fail.h"

static void own_mac(uint8_t mac[6], unsigned interface)
{
    struct ifreq r = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must(fd >= 0 && if_indextoname(interface, r.ifr_name) != NULL);
    must(ioctl(fd, SIOCGIFHWADDR, &r) == 0);
    memcpy(mac, r.ifr_hwaddr.sa_data, 6);
    close(fd);
}

static void put16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static uint32_t sum(const uint8_t *p, unsigned length)
{
    uint32_t s = 0;
    for (unsigned i = 0; i < length; i += 2) {
        s += (uint32_t)(p[i] << 8 | p[i + 1]);
    }
    return s;
}

static uint16_t fold(uint32_t s)
{
    s = (s >> 16) + (s & 0xffff);
    return (uint16_t)(s + (s >> 16));
}

void xdp_frame_init(struct xdp_frame *f, const struct options *o, uint16_t port)
{
    *f = (struct xdp_frame){.length = XDP_HEADERS + o->size};
    uint8_t *ip = f->bytes + 14, *udp = ip + 20;
    memcpy(f->bytes, o->peer_mac, 6);
    own_mac(f->bytes + 6, o->interface);
    put16(f->bytes + 12, 0x0800);
    ip[0] = 0x45;
    put16(ip + 2, 28 + o->size);
    put16(ip + 6, 0x4000);
    ip[8] = XDP_HOP_LIMIT;
    ip[9] = IPPROTO_UDP;
    memcpy(ip + 12, &o->local, 4);
    memcpy(ip + 16, &o->remote, 4);
    put16(ip + 10, (uint16_t)~fold(sum(ip, 20)));
    put16(udp, port);
    put16(udp + 2, o->port);
    put16(udp + 4, 8 + o->size);
    put16(
        udp + 6, fold(sum(ip + 12, 8) + IPPROTO_UDP + 8 + o->size)); /* the device adds the rest */
    udp[8] = 0x40;                                                   /* a short header */
}

void xdp_frame_write(const struct xdp_frame *f, uint8_t *to, unsigned identifier)
{
    memcpy(to, f->bytes, f->length);
    to[XDP_HEADERS + 1] = (uint8_t)identifier;
}

static void exchange(uint8_t *a, uint8_t *b, unsigned length)
{
    uint8_t t[6];
    memcpy(t, a, length);
    memcpy(a, b, length);
    memcpy(b, t, length);
}

void xdp_frame_swap(uint8_t *frame)
{
    exchange(frame, frame + 6, 6);
    exchange(frame + 26, frame + 30, 4);
    exchange(frame + 34, frame + 36, 2);
}
