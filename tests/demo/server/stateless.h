/* SPDX-License-Identifier: MIT */
/* stateless.h - answers to datagrams that belong to no connection. */
#ifndef DEMO_STATELESS_H
#define DEMO_STATELESS_H

#include "compat.h"
#include "msquicxdp/cxplat.h"

struct partition;

/* A client offers a version that we do not speak: tells it ours. */
void stateless_negotiate(
    struct partition *p, const CXPLAT_RECV_DATA *data, const ngtcp2_version_cid *ids);

/* A peer thinks that it has a connection with us: tells it that there is none. */
void stateless_reset(struct partition *p, const CXPLAT_RECV_DATA *data, const ngtcp2_cid *cid);

#endif
