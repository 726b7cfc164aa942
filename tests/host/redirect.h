/* SPDX-License-Identifier: MIT */
/*
 * redirect.h - an application's own XDP program for map mode: it gives the UDP datagrams of one port
 * to the AF_XDP socket that an XSKMAP has for their queue, and passes everything else.
 */
#ifndef HOST_REDIRECT_H
#define HOST_REDIRECT_H

#include <stdbool.h>
#include <stdint.h>

struct redirect {
    int map; /* XSKMAP; -1: none */
    int program;
    int link; /* while it is open the program is attached */
};

/* A map with that many entries, and the program on an interface. FALSE, errno and a closed r if not. */
bool redirect_open(struct redirect *r, const char *interface, uint16_t port, uint32_t entries);
void redirect_close(struct redirect *r);

/* A map without a program; of another type than XSKMAP if so wanted (BPF_MAP_TYPE_ARRAY, say). */
int redirect_map(uint32_t type, uint32_t entries);

#endif
