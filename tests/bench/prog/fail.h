/* SPDX-License-Identifier: MIT */
/* fail.h - a benchmark that cannot do its job says why and ends. */
#ifndef BENCH_FAIL_H
#define BENCH_FAIL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define fail(...)                                                                                  \
    do {                                                                                           \
        fprintf(stderr, "%s: ", program_invocation_short_name);                                    \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        exit(EXIT_FAILURE);                                                                        \
    } while (0)

/* For system calls: TRUE, or the end. */
#define must(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail("%s:%d: %s: %s", __FILE__, __LINE__, #condition, strerror(errno));                \
        }                                                                                          \
    } while (0)

#endif
