/* SPDX-License-Identifier: MIT */
/* plugin.c - the shared object. */
#include "plugin.h"

const struct plugin plugin = PLUGIN_TABLE;
