/* SPDX-License-Identifier: MIT */
/* load.c - loading the shared object. */
#include <dlfcn.h>

#include "guest.h"
#include "plugin.h"

const struct plugin *plugin_load(const char *path, void **handle)
{
    *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (*handle == NULL) {
        check_fail("%s", dlerror());
    }
    return dlsym(*handle, "plugin");
}
