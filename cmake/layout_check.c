/* SPDX-License-Identifier: MIT */
/*
 * layout_check.c - built inside MsQuic's own tree, as one more source of its platform library. It
 * holds no code: it compiles if MsQuic's headers declare the interface that libmsquicxdp.a was
 * built for, and stops the build with a plain message if not.
 */
#ifdef CXPLAT_USE_IO_URING
#error "msquicxdp needs the epoll event queue: build MsQuic with -DQUIC_LINUX_IOURING_ENABLED=OFF"
#else

/* Seen from src/inc, which every part of MsQuic has on its include path. */
#include "../platform/platform_internal.h"

#include "../include/abi/layout_asserts.h"

#endif
