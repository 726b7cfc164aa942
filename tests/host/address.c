/* SPDX-License-Identifier: MIT */
/* address.c - addresses for tests. */
#include "host/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/check.h"

QUIC_ADDR addr(const char *ip, uint16_t port)
{
    QUIC_ADDR a;
    memset(&a, 0, sizeof(a));
    if (inet_pton(AF_INET, ip, &a.Ipv4.sin_addr) == 1) {
        a.Ip.sa_family = AF_INET;
    } else if (inet_pton(AF_INET6, ip, &a.Ipv6.sin6_addr) == 1) {
        a.Ip.sa_family = AF_INET6;
    } else {
        fprintf(stderr, "addr(\"%s\"): not an address in numbers\n", ip);
        abort();
    }
    a.Ipv4.sin_port = htons(port);
    return a;
}

QUIC_ADDR addr_any(uint16_t port)
{
    return addr("::", port);
}

uint16_t addr_port(const QUIC_ADDR *address)
{
    return ntohs(address->Ipv4.sin_port); /* in the same place for IPv6 */
}

QUIC_ADDR addr_with_port(QUIC_ADDR address, uint16_t port)
{
    address.Ipv4.sin_port = htons(port);
    return address;
}

bool addr_same_ip(const QUIC_ADDR *a, const QUIC_ADDR *b)
{
    if (a->Ip.sa_family != b->Ip.sa_family) {
        return false;
    }
    if (a->Ip.sa_family == AF_INET) {
        return a->Ipv4.sin_addr.s_addr == b->Ipv4.sin_addr.s_addr;
    }
    return memcmp(&a->Ipv6.sin6_addr, &b->Ipv6.sin6_addr, sizeof(a->Ipv6.sin6_addr)) == 0;
}

bool addr_equal(const QUIC_ADDR *a, const QUIC_ADDR *b)
{
    return addr_same_ip(a, b) && a->Ipv4.sin_port == b->Ipv4.sin_port;
}

socklen_t addr_length(const QUIC_ADDR *address)
{
    return address->Ip.sa_family == AF_INET ? sizeof(address->Ipv4) : sizeof(address->Ipv6);
}

QUIC_ADDR addr_mapped(const QUIC_ADDR *address)
{
    QUIC_ADDR a = *address;
    if (address->Ip.sa_family == AF_INET) {
        a = addr("::ffff:0.0.0.0", addr_port(address));
        memcpy(&a.Ipv6.sin6_addr.s6_addr[12], &address->Ipv4.sin_addr, 4);
    }
    return a;
}

const char *addr_text(const QUIC_ADDR *address, char text[ADDR_TEXT])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (address->Ip.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->Ipv4.sin_addr, ip, sizeof(ip));
        snprintf(text, ADDR_TEXT, "%s:%u", ip, addr_port(address));
    } else if (address->Ip.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->Ipv6.sin6_addr, ip, sizeof(ip));
        snprintf(text, ADDR_TEXT, "[%s]:%u", ip, addr_port(address));
    } else {
        snprintf(text, ADDR_TEXT, "family %u, port %u", address->Ip.sa_family, addr_port(address));
    }
    return text;
}

bool addr_check(
    const QUIC_ADDR *got, const QUIC_ADDR *want, const char *what, const char *file, int line)
{
    char a[ADDR_TEXT], b[ADDR_TEXT];
    if (addr_equal(got, want)) {
        return true;
    }
    check_fail(
        "%s:%d: %s: got %s, expected %s", file, line, what, addr_text(got, a), addr_text(want, b));
    return false;
}
