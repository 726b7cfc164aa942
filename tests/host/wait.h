/* SPDX-License-Identifier: MIT */
/*
 * wait.h - waiting for things that other threads do, always with a deadline.
 *
 * A test never sleeps and looks again: it waits for a gauge to rise, and fails when the deadline
 * comes first. The deadline is far away, so that a slow machine or a sanitizer does not reach it.
 */
#ifndef HOST_WAIT_H
#define HOST_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { HOST_DEADLINE_MS = 10000 };

/* A moment on CLOCK_MONOTONIC, ms from now; and how far away it is, at least 0. */
struct timespec host_deadline(unsigned ms);
int host_remaining_ms(const struct timespec *deadline);

/* Microseconds of CLOCK_MONOTONIC. */
uint64_t host_now_us(void);

/* A condition variable whose deadlines are on CLOCK_MONOTONIC. */
void host_cond_init(pthread_cond_t *cond);

/* Waits under lock; FALSE once the deadline is over. */
bool host_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *deadline);

/* A number that only rises, and can be waited for. */
struct gauge {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t value;
};

void gauge_init(struct gauge *gauge);
void gauge_destroy(struct gauge *gauge);
void gauge_add(struct gauge *gauge, uint64_t n);
uint64_t gauge_read(struct gauge *gauge);

/* TRUE when the gauge stands at least at value before HOST_DEADLINE_MS, or ms, have passed. */
bool gauge_wait(struct gauge *gauge, uint64_t value);
bool gauge_wait_ms(struct gauge *gauge, uint64_t value, unsigned ms);

#endif
