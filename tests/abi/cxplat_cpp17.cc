// SPDX-License-Identifier: MIT
//
// Our interface header as C++17, see cxplat_c11.c.
//
//   c++ -std=c++17 -Wall -Wextra -Werror -pedantic -Iinclude tests/abi/cxplat_cpp17.cc
#include "msquicxdp/cxplat.h"
#include "msquicxdp/cxplat.h"

#include "abi/layout_asserts.h"
#include "abi/layout_asserts.h"

#include <cstdio>

static_assert(QUIC_SUCCEEDED(QUIC_STATUS_SUCCESS), "SUCCESS is no failure");
static_assert(QUIC_SUCCEEDED(QUIC_STATUS_PENDING), "PENDING is no failure");
static_assert(QUIC_SUCCEEDED(QUIC_STATUS_CONTINUE), "CONTINUE is no failure");
static_assert(QUIC_FAILED(QUIC_STATUS_INVALID_STATE), "the smallest errno is a failure");

int main()
{
    const char *problem = cxplat_check_bitfields();
    if (problem != nullptr) {
        std::fprintf(stderr, "%s\n", problem);
        return 1;
    }
    return 0;
}
