/* SPDX-License-Identifier: MIT */
/* wait.c - deadlines, condition variables and gauges. */
#include "host/wait.h"

struct timespec host_deadline(unsigned ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(ms / 1000);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

int host_remaining_ms(const struct timespec *deadline)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ms = (int64_t)(deadline->tv_sec - now.tv_sec) * 1000 +
                 (deadline->tv_nsec - now.tv_nsec) / 1000000;
    return ms > 0 ? (int)ms : 0;
}

uint64_t host_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void host_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

bool host_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *deadline)
{
    return pthread_cond_timedwait(cond, lock, deadline) == 0;
}

void gauge_init(struct gauge *gauge)
{
    pthread_mutex_init(&gauge->lock, NULL);
    host_cond_init(&gauge->changed);
    gauge->value = 0;
}

void gauge_destroy(struct gauge *gauge)
{
    pthread_cond_destroy(&gauge->changed);
    pthread_mutex_destroy(&gauge->lock);
}

void gauge_add(struct gauge *gauge, uint64_t n)
{
    pthread_mutex_lock(&gauge->lock);
    gauge->value += n;
    pthread_cond_broadcast(&gauge->changed);
    pthread_mutex_unlock(&gauge->lock);
}

uint64_t gauge_read(struct gauge *gauge)
{
    pthread_mutex_lock(&gauge->lock);
    uint64_t value = gauge->value;
    pthread_mutex_unlock(&gauge->lock);
    return value;
}

bool gauge_wait(struct gauge *gauge, uint64_t value)
{
    return gauge_wait_ms(gauge, value, HOST_DEADLINE_MS);
}

bool gauge_wait_ms(struct gauge *gauge, uint64_t value, unsigned ms)
{
    struct timespec deadline = host_deadline(ms);
    pthread_mutex_lock(&gauge->lock);
    while (gauge->value < value && host_cond_wait(&gauge->changed, &gauge->lock, &deadline)) {
    }
    bool reached = gauge->value >= value;
    pthread_mutex_unlock(&gauge->lock);
    return reached;
}
