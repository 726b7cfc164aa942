/* SPDX-License-Identifier: MIT */
/*
 * check.h - named tests, checks that print the values they saw, and a leak check after each test.
 *
 *     TEST(adds_up)
 *     {
 *         CHECK_EQ(1 + 1, 2);
 *     }
 *     CHECK_MAIN(CASE(adds_up))
 *
 * The program runs all its tests, or those named as arguments (-l lists them), in a network
 * namespace of its own, see netns.h. It ends with "N passed, N failed, N skipped" and the exit
 * status 0, 1 when a test failed, or 77 when none passed and some were skipped. With REQUIRE_XDP=1
 * in the environment a skip is a failure.
 *
 * CHECK and CHECK_EQ may be used on any thread, and are TRUE when they hold. A test that uses
 * REQUIRE returns where it does not hold. After a test nothing may be left of it: no allocation, no
 * descriptor, no logged assertion, no wrong free. A test that does not end is reported and aborts
 * the program after CHECK_TIMEOUT seconds (environment; 120).
 */
#ifndef HOST_CHECK_H
#define HOST_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check_case {
    const char *name;
    void (*run)(void);
};

#define TEST(name) static void name(void)
#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
#define CHECK_MAIN(...)                                                                            \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        static const struct check_case cases[] = {__VA_ARGS__};                                    \
        return check_run(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));                     \
    }

#define CHECK(condition) check_that((condition), #condition, __FILE__, __LINE__)
#define CHECK_EQ(got, want)                                                                        \
    check_equal((intmax_t)(got), (intmax_t)(want), #got " == " #want, __FILE__, __LINE__)
#define CHECK_LE(got, most)                                                                        \
    check_at_most((intmax_t)(got), (intmax_t)(most), #got " <= " #most, __FILE__, __LINE__)
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!CHECK(condition)) {                                                                   \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* Ends the test as skipped. The reason is printed. */
#define SKIP(reason)                                                                               \
    do {                                                                                           \
        check_skip(reason);                                                                        \
        return;                                                                                    \
    } while (0)

bool check_that(bool holds, const char *text, const char *file, int line);
bool check_equal(intmax_t got, intmax_t want, const char *text, const char *file, int line);
bool check_at_most(intmax_t got, intmax_t most, const char *text, const char *file, int line);
void check_skip(const char *reason);

/* A failure with a text of its own. Outside a test (in a fuzzer) it aborts the program. */
void check_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The descriptors that are open now are to stay so: the running test does not answer for them. */
void check_keep_descriptors(void);

/* Failures of the running test so far. */
unsigned check_failures(void);

/*
 * Runs once before the first test: whatever the library makes for the whole life of the process is
 * to be made in here, so that it does not count as a leak of the first test.
 */
extern void (*check_warm_up)(void);

int check_run(int argc, char **argv, const struct check_case *cases, size_t count);

#endif
