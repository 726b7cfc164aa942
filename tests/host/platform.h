/* SPDX-License-Identifier: MIT */
/* platform.h - the small imports of the archive: assertions and the receive handler of PCP. */
#ifndef HOST_PLATFORM_H
#define HOST_PLATFORM_H

#include "msquicxdp/cxplat.h"

/* Assertions that the archive has logged. */
unsigned host_asserts(void);

/* Who takes what PCP sockets receive. Without a handler it counts as a failed assertion. */
void host_set_pcp_receive(CXPLAT_DATAPATH_RECEIVE_CALLBACK_HANDLER handler);

#endif
