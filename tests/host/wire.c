/* SPDX-License-Identifier: MIT */
/* wire.c - a veth pair, and the routes that make packets cross it. */
#include "host/wire.h"

#include "host/address.h"
#include "host/link.h"

const char *const wire_end[2] = {"duo1", "duo2"};
const char *const wire_ip4[2] = {"192.168.1.11", "192.168.1.12"};
const char *const wire_ip6[2] = {"fc00::1:11", "fc00::1:12"};

static bool add_end(int i)
{
    QUIC_ADDR v4 = addr(wire_ip4[i], 0), v6 = addr(wire_ip6[i], 0);
    return link_up(wire_end[i]) && link_add_address(wire_end[i], &v4, 24) &&
           link_add_address(wire_end[i], &v6, 112);
}

static bool add_neighbour(int i)
{
    QUIC_ADDR v4 = addr(wire_ip4[1 - i], 0), v6 = addr(wire_ip6[1 - i], 0);
    QUIC_ADDR own4 = addr(wire_ip4[i], 0), own6 = addr(wire_ip6[i], 0);
    uint8_t mac[6];
    return link_mac(wire_end[1 - i], mac) && link_add_neighbour(wire_end[i], &v4, mac) &&
           link_add_neighbour(wire_end[i], &v6, mac) &&
           link_add_host_route(wire_end[i], &v4, &own4) &&
           link_add_host_route(wire_end[i], &v6, &own6);
}

bool wire_open(void)
{
    return link_add_veth(wire_end[0], wire_end[1]) && add_end(0) && add_end(1) &&
           add_neighbour(0) && add_neighbour(1) && link_wait_usable(wire_end[0]) &&
           link_wait_usable(wire_end[1]);
}

bool wire_close(void)
{
    return link_delete(wire_end[0]);
}
