/* SPDX-License-Identifier: MIT */
/* copy.h - which of several copies of the archive in one process is live (front.c). */
#ifndef MQX_COPY_H
#define MQX_COPY_H

#include "internal.h"

typedef struct MqxCopy MqxCopy;

/*
 * Makes this copy the live one, or finds the one that is and forwards to it from now on. Fails when
 * that one has another version. Called once at a time.
 */
QUIC_STATUS mqx_copy_elect(bool *is_own);

/* The table of the copy that answers instead of this one; NULL when this one is live. */
const MqxTable *mqx_copy_other(void);

#endif
