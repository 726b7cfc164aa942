/* SPDX-License-Identifier: MIT */
/*
 * link.h - interfaces, addresses, routes and queueing of the test's network namespace.
 *
 * All return TRUE when the kernel agreed, else errno says why.
 */
#ifndef HOST_LINK_H
#define HOST_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "msquicxdp/cxplat.h"

bool link_up(const char *name);
bool link_down(const char *name);

/* Waits until the kernel has noticed that an interface, brought up before, is usable. */
bool link_wait_usable(const char *name);
bool link_set_mtu(const char *name, unsigned mtu);

/* Both ends of a new veth pair, still down, in this namespace. Deleting one end deletes both. */
bool link_add_veth(const char *name, const char *peer);
bool link_delete(const char *name);

/* Moves an interface to another network namespace, given a descriptor of it; waits until an interface is not here. */
bool link_move(const char *name, int net_namespace);
bool link_wait_gone(const char *name);

/* IPv6 addresses are usable at once (no duplicate address detection). */
bool link_add_address(const char *name, const QUIC_ADDR *address, unsigned prefix);

/* Waits until packets to an address of the interface come here: for IPv6 that takes a while. */
bool link_wait_local(const char *name, const QUIC_ADDR *address);

/* The hardware address of an Ethernet interface. */
bool link_mac(const char *name, uint8_t mac[6]);

/* Says for good which hardware address an address has behind the interface. */
bool link_add_neighbour(const char *name, const QUIC_ADDR *address, const uint8_t mac[6]);

bool link_delete_address(const char *name, const QUIC_ADDR *address, unsigned prefix);

/* A default route, for the gateway's family, out of the interface. */
bool link_add_default_route(const char *name, const QUIC_ADDR *gateway);

/* A route to one address, which is on the link of the interface, and what to send from. */
bool link_add_host_route(const char *name, const QUIC_ADDR *address, const QUIC_ADDR *source);

/* Has packets to an address of no interface delivered here, by way of the interface, as if the path
 * took no more than mtu bytes. */
bool link_add_local_route(const char *name, const QUIC_ADDR *address, unsigned mtu);
bool link_delete_local_route(const char *name, const QUIC_ADDR *address);

/* Lets at most bytes_per_second leave the interface, and keeps the rest waiting, nothing lost. */
bool link_limit_rate(const char *name, uint32_t bytes_per_second);
bool link_unlimit_rate(const char *name);

#endif
