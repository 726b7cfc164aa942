/* SPDX-License-Identifier: MIT */
/* report.c - reasons of failures, the log hook and the counters: what msquicxdp.h promises. */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

static _Thread_local char last_reason[MQX_REASON];
static _Thread_local bool in_log;

/* The hook. Three words that must be read together, and rarely change. */
static pthread_rwlock_t log_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct msquicxdp_log_options log_options;
static _Atomic int log_level; /* MSQUICXDP_LEVEL_NONE while there is no hook */

static void emit(enum msquicxdp_level level, const char *message)
{
    if (in_log || (int)level > atomic_load_explicit(&log_level, memory_order_relaxed)) {
        return;
    }
    pthread_rwlock_rdlock(&log_lock);
    msquicxdp_log_fn *log = log_options.log;
    void *context = log_options.context;
    pthread_rwlock_unlock(&log_lock);
    if (log != NULL) {
        in_log = true;
        log(context, level, message);
        in_log = false;
    }
}

void mqx_log(enum msquicxdp_level level, const char *format, ...)
{
    if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed)) {
        return;
    }
    char message[MQX_REASON];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    emit(level, message);
}

QUIC_STATUS mqx_fail(QUIC_STATUS status, const char *format, ...)
{
    char message[MQX_REASON]; /* an argument may be the previous reason */
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    memcpy(last_reason, message, sizeof(message));
    emit(MSQUICXDP_LEVEL_ERROR, last_reason);
    return status;
}

size_t mqx_msquicxdp_last_reason(char *buf, size_t len)
{
    if (buf == NULL) {
        return strlen(last_reason);
    }
    return (size_t)snprintf(buf, len, "%s", last_reason);
}

bool mqx_tail_is_zero(const void *object, size_t known, size_t size)
{
    const char *byte = object;
    for (size_t i = known; i < size; i++) {
        if (byte[i] != 0) {
            return false;
        }
    }
    return true;
}

int mqx_msquicxdp_set_log(const struct msquicxdp_log_options *options)
{
    struct msquicxdp_log_options wanted = {.size = sizeof(wanted)};
    if (options != NULL) {
        if (options->size < sizeof(size_t) || options->level > MSQUICXDP_LEVEL_INFO) {
            return -EINVAL;
        }
        if (!mqx_tail_is_zero(options, sizeof(wanted), options->size)) {
            return -E2BIG;
        }
        size_t known = options->size < sizeof(wanted) ? options->size : sizeof(wanted);
        memcpy(&wanted, options, known);
        if (wanted.reserved != 0) {
            return -E2BIG;
        }
    }
    pthread_rwlock_wrlock(&log_lock);
    log_options = wanted;
    atomic_store(&log_level, wanted.log != NULL ? (int)wanted.level : MSQUICXDP_LEVEL_NONE);
    pthread_rwlock_unlock(&log_lock);
    return 0;
}

void mqx_get_log(struct msquicxdp_log_options *options)
{
    pthread_rwlock_rdlock(&log_lock);
    *options = log_options;
    pthread_rwlock_unlock(&log_lock);
}

static MqxCounters counters[MQX_STRIPES];

MqxCounters *mqx_counters(uint16_t partition)
{
    return &counters[partition % MQX_STRIPES];
}

static void add_stripe(struct msquicxdp_counters *sum, MqxCounters *stripe)
{
#define MQX_ADD(to, from) sum->to += atomic_load_explicit(&stripe->from, memory_order_relaxed)
    MQX_ADD(rx_turns, RxTurns);
    MQX_ADD(rx_datagrams, RxDatagrams);
    MQX_ADD(rx_bytes, RxBytes);
    MQX_ADD(rx_dropped, RxDropped);
    MQX_ADD(tx_batches, TxBatches);
    MQX_ADD(tx_datagrams, TxDatagrams);
    MQX_ADD(tx_bytes, TxBytes);
    MQX_ADD(tx_queued, TxQueued);
    MQX_ADD(tx_failed, TxFailed);
    MQX_ADD(unreachable, Unreachable);
    MQX_ADD(sockets_opened, Opened);
    MQX_ADD(sockets_refused, Refused);
    MQX_ADD(block_allocs, BlockAllocs);
    MQX_ADD(xdp_unavailable, XdpUnavailable);
    MQX_ADD(xdp_rx_datagrams, XdpRxDatagrams);
    MQX_ADD(xdp_tx_datagrams, XdpTxDatagrams);
    MQX_ADD(xdp_tx_kernel, XdpTxKernel);
    MQX_ADD(xdp_tx_no_room, XdpTxNoRoom);
    MQX_ADD(xdp_tx_not_taken, XdpTxNotTaken);
    MQX_ADD(xdp_no_route, XdpNoRoute);
    MQX_ADD(xdp_tx_kicks, XdpTxKicks);
#undef MQX_ADD
    sum->sockets_live += atomic_load_explicit(&stripe->Opened, memory_order_relaxed) -
                         atomic_load_explicit(&stripe->Closed, memory_order_relaxed);
}

/* Fills in a struct of which the caller knows `size` bytes, the first of which are that size. */
static void give(void *out, size_t size, void *from, size_t known)
{
    memcpy(from, &size, sizeof(size));
    if (size > known) { /* a newer caller: what we do not count is zero */
        memset((char *)out + known, 0, size - known);
    }
    memcpy(out, from, size < known ? size : known);
}

int mqx_msquicxdp_get_counters(struct msquicxdp_counters *out)
{
    struct msquicxdp_counters sum = {0};
    if (out == NULL || out->size < sizeof(size_t)) {
        return -EINVAL;
    }
    for (int i = 0; i < MQX_STRIPES; i++) {
        add_stripe(&sum, &counters[i]);
    }
    give(out, out->size, &sum, sizeof(sum));
    return 0;
}

int mqx_msquicxdp_get_xdp_counters(struct msquicxdp_xdp_counters *out)
{
    struct msquicxdp_xdp_counters sum = {0};
    if (out == NULL || out->size < sizeof(size_t)) {
        return -EINVAL;
    }
    mqx_raw_count(&sum);
    give(out, out->size, &sum, sizeof(sum));
    return 0;
}
