/* SPDX-License-Identifier: MIT */
/* callbacks.h - what ngtcp2 calls. The user data of a connection is a struct conn. */
#ifndef DEMO_CALLBACKS_H
#define DEMO_CALLBACKS_H

#include "compat.h"

extern const ngtcp2_callbacks conn_callbacks;

#endif
