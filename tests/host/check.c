/* SPDX-License-Identifier: MIT */
/* check.c - runs tests and says what failed. */
#include "host/check.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "host/netns.h"
#include "host/platform.h"
#include "host/process.h"
#include "host/wait.h"

enum { EXIT_SKIPPED = 77, MAX_PRINTED = 20, DEFAULT_TIMEOUT_S = 120 };

static _Atomic unsigned failures; /* of the running test */
static _Atomic bool in_test;
static const char *skipped; /* the reason */
static const char *running;

unsigned check_failures(void)
{
    return atomic_load(&failures);
}

static bool announce(const char *file, int line)
{
    unsigned n = atomic_fetch_add(&failures, 1) + 1;
    if (n == MAX_PRINTED + 1) {
        fprintf(stderr, "    (further failures of this test are not printed)\n");
    }
    if (n > MAX_PRINTED) {
        return false;
    }
    if (file != NULL) {
        fprintf(stderr, "    %s:%d: ", file, line);
    }
    return true;
}

bool check_that(bool holds, const char *text, const char *file, int line)
{
    if (!holds && announce(file, line)) {
        fprintf(stderr, "%s does not hold\n", text);
    }
    return holds;
}

bool check_equal(intmax_t got, intmax_t want, const char *text, const char *file, int line)
{
    if (got != want && announce(file, line)) {
        fprintf(
            stderr, "%s: got %jd (0x%jx), expected %jd (0x%jx)\n", text, got, (uintmax_t)got, want,
            (uintmax_t)want);
    }
    return got == want;
}

bool check_at_most(intmax_t got, intmax_t most, const char *text, const char *file, int line)
{
    if (got > most && announce(file, line)) {
        fprintf(stderr, "%s: got %jd, expected at most %jd\n", text, got, most);
    }
    return got <= most;
}

void check_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (announce(NULL, 0)) {
        fprintf(stderr, "    ");
        vfprintf(stderr, format, args);
        fprintf(stderr, "\n");
    }
    va_end(args);
    if (!atomic_load(&in_test)) {
        abort();
    }
}

void check_skip(const char *reason)
{
    skipped = reason;
}

/* ---- the watchdog ---- */

static struct gauge finished; /* tests */

static unsigned timeout_ms(void)
{
    const char *text = getenv("CHECK_TIMEOUT");
    int seconds = text != NULL ? atoi(text) : 0;
    return (unsigned)(seconds > 0 ? seconds : DEFAULT_TIMEOUT_S) * 1000;
}

static void *watch(void *unused)
{
    (void)unused;
    for (uint64_t n = 1;; n++) {
        if (!gauge_wait_ms(&finished, n, timeout_ms())) {
            fprintf(stderr, "    %s does not end: aborting\n", running);
            abort();
        }
    }
    return NULL;
}

static void start_watchdog(void)
{
    pthread_t thread;
    gauge_init(&finished);
    if (pthread_create(&thread, NULL, watch, NULL) == 0) {
        pthread_detach(thread);
    }
}

/* ---- what a test leaves behind ---- */

struct baseline {
    size_t live;
    unsigned faults;
    unsigned asserts;
    struct fd_set_of_process fds;
};

static void take_baseline(struct baseline *b)
{
    b->live = host_memory_live();
    b->faults = host_memory_faults();
    b->asserts = host_asserts();
    host_fds(&b->fds);
}

static void check_baseline(const struct baseline *b)
{
    if (!host_memory_wait_live(b->live)) {
        check_fail(
            "leak: %zu allocations live, %zu before the test; all that are live:",
            host_memory_live(), b->live);
        host_memory_print();
    }
    if (host_memory_faults() != b->faults) {
        check_fail("memory was freed wrongly, see above");
    }
    if (host_asserts() != b->asserts) {
        check_fail("the archive logged assertions, see above");
    }
    static struct fd_set_of_process now;
    host_fds(&now);
    if (now.count > b->fds.count) {
        check_fail(
            "leak: %d descriptors open, %d before the test; new are:", now.count, b->fds.count);
        host_fds_print_new(&b->fds, &now);
    }
}

static struct baseline before_test;

void check_keep_descriptors(void)
{
    host_fds(&before_test.fds);
}

/* ---- running ---- */

struct tally {
    unsigned passed, failed, skipped;
};

static void run_one(const struct check_case *test, struct tally *tally)
{
    take_baseline(&before_test);
    atomic_store(&failures, 0);
    skipped = NULL;
    running = test->name;
    atomic_store(&in_test, true);
    uint64_t start = host_now_us();
    test->run();
    check_baseline(&before_test);
    unsigned ms = (unsigned)((host_now_us() - start) / 1000);
    atomic_store(&in_test, false);
    gauge_add(&finished, 1);
    if (atomic_load(&failures) != 0) {
        tally->failed++;
        printf("FAIL %s (%u ms)\n", test->name, ms);
    } else if (skipped != NULL) {
        tally->skipped++;
        printf("SKIP %s: %s\n", test->name, skipped);
    } else {
        tally->passed++;
        printf("ok   %s (%u ms)\n", test->name, ms);
    }
    fflush(stdout);
}

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return true;
        }
    }
    return argc < 2;
}

static bool known(const char *name, const struct check_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(cases[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* -1: go on. */
static int read_arguments(int argc, char **argv, const struct check_case *cases, size_t count)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-l") == 0) {
            for (size_t k = 0; k < count; k++) {
                printf("%s\n", cases[k].name);
            }
            return 0;
        }
        if (!known(argv[i], cases, count)) {
            fprintf(stderr, "%s: no test has this name (-l lists them)\n", argv[i]);
            return 2;
        }
    }
    return -1;
}

static bool skips_fail(void)
{
    const char *text = getenv("REQUIRE_XDP");
    return text != NULL && strcmp(text, "1") == 0;
}

static int result(const struct tally *tally)
{
    printf("%u passed, %u failed, %u skipped\n", tally->passed, tally->failed, tally->skipped);
    if (tally->failed != 0 || (tally->skipped != 0 && skips_fail())) {
        return 1;
    }
    return tally->passed == 0 && tally->skipped != 0 ? EXIT_SKIPPED : 0;
}

void (*check_warm_up)(void);

int check_run(int argc, char **argv, const struct check_case *cases, size_t count)
{
    int done = read_arguments(argc, argv, cases, count);
    if (done >= 0) {
        return done;
    }
    const char *why = netns_enter(argv);
    if (why != NULL) {
        printf("SKIP all: no network namespace of our own: %s\n", why);
        return skips_fail() ? 1 : EXIT_SKIPPED;
    }
    if (check_warm_up != NULL) {
        check_warm_up();
    }
    start_watchdog();
    struct tally tally = {0};
    for (size_t i = 0; i < count; i++) {
        if (wanted(cases[i].name, argc, argv)) {
            run_one(&cases[i], &tally);
        }
    }
    return result(&tally);
}
