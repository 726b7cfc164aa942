/* SPDX-License-Identifier: MIT */
/* options.h - the command line of the server. */
#ifndef DEMO_OPTIONS_H
#define DEMO_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "cid.h"

enum { NAME_LENGTH = 12 }; /* an identifier of 6 bytes in hex */

struct options {
    char name[NAME_LENGTH + 1]; /* the identifier in hex, or "plain": who it says it is */
    const char *certificate;    /* PEM files */
    const char *key;
    uint16_t port; /* of [::], both families */
    uint16_t workers;
    bool xdp; /* asks for AF_XDP */
    struct cid_scheme cids;
};

/* FALSE, with a message on stderr, if the arguments are no good. */
bool options_parse(struct options *o, int argc, char **argv);

#endif
