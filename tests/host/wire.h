/* SPDX-License-Identifier: MIT */
/*
 * wire.h - a veth pair with both ends in the test's namespace, as MsQuic's own tests have it, so that one
 * datapath is server and client. All neighbours are known.
 */
#ifndef HOST_WIRE_H
#define HOST_WIRE_H

#include <stdbool.h>

/* Names and addresses of the ends. */
extern const char *const wire_end[2];
extern const char *const wire_ip4[2];
extern const char *const wire_ip6[2];

bool wire_open(void);
bool wire_close(void);

#endif
