/* SPDX-License-Identifier: MIT */
/* address.h - making, comparing and printing QUIC_ADDR. Ports are in host byte order. */
#ifndef HOST_ADDRESS_H
#define HOST_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "msquicxdp/cxplat.h"

/* From numbers, "127.0.0.1" or "::1"; aborts on anything else. */
QUIC_ADDR addr(const char *ip, uint16_t port);

/* [::] and a port. */
QUIC_ADDR addr_any(uint16_t port);

uint16_t addr_port(const QUIC_ADDR *address);
QUIC_ADDR addr_with_port(QUIC_ADDR address, uint16_t port);

/* As core compares: family, port and IP, never the scope. */
bool addr_equal(const QUIC_ADDR *a, const QUIC_ADDR *b);
bool addr_same_ip(const QUIC_ADDR *a, const QUIC_ADDR *b);

/* Bytes of it that the kernel wants to see. */
socklen_t addr_length(const QUIC_ADDR *address);

/* IPv4 written as IPv6; others unchanged. */
QUIC_ADDR addr_mapped(const QUIC_ADDR *address);

enum { ADDR_TEXT = 80 };
const char *addr_text(const QUIC_ADDR *address, char text[ADDR_TEXT]);

/* A check that prints both addresses. */
#define CHECK_ADDR(got, want) addr_check((got), (want), #got, __FILE__, __LINE__)
bool addr_check(
    const QUIC_ADDR *got, const QUIC_ADDR *want, const char *what, const char *file, int line);

#endif
