/* SPDX-License-Identifier: MIT */
/*
 * Our interface header as C11: it compiles alone and twice, declares the binary interface in
 * abi/msquic.json, and its bit fields are where MsQuic has them. Exit status 0, or 1 and a message.
 *
 *   cc -std=c11 -Wall -Wextra -Werror -pedantic -Iinclude tests/abi/cxplat_c11.c
 */
#include "msquicxdp/cxplat.h"
#include "msquicxdp/cxplat.h"

#include "abi/layout_asserts.h"
#include "abi/layout_asserts.h"

#include <stdio.h>

_Static_assert(QUIC_SUCCEEDED(QUIC_STATUS_SUCCESS), "SUCCESS is no failure");
_Static_assert(QUIC_SUCCEEDED(QUIC_STATUS_PENDING), "PENDING is no failure");
_Static_assert(QUIC_SUCCEEDED(QUIC_STATUS_CONTINUE), "CONTINUE is no failure");
_Static_assert(QUIC_FAILED(QUIC_STATUS_INVALID_STATE), "the smallest errno is a failure");

int main(void)
{
    const char *problem = cxplat_check_bitfields();
    if (problem != NULL) {
        fprintf(stderr, "%s\n", problem);
        return 1;
    }
    return 0;
}
