/* SPDX-License-Identifier: MIT */
/* compat.h - ngtcp2's headers, and one form of what 0.12 and 1.x spell differently. */
#ifndef DEMO_COMPAT_H
#define DEMO_COMPAT_H

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#if NGTCP2_VERSION_NUM < 0x000c01
#error "the demo needs ngtcp2 0.12.1 or newer"
#endif

/* Why a connection is closed: an error of the library, or a TLS alert if alert is not 0. */
static inline ngtcp2_ssize compat_write_close(
    ngtcp2_conn *quic,
    ngtcp2_path *path,
    ngtcp2_pkt_info *info,
    uint8_t *dest,
    size_t size,
    int error,
    uint8_t alert,
    ngtcp2_tstamp now)
{
#if NGTCP2_VERSION_NUM >= 0x010000
    ngtcp2_ccerr why;
    ngtcp2_ccerr_default(&why);
    if (alert != 0) {
        ngtcp2_ccerr_set_tls_alert(&why, alert, NULL, 0);
    } else {
        ngtcp2_ccerr_set_liberr(&why, error, NULL, 0);
    }
#else
    ngtcp2_connection_close_error why;
    ngtcp2_connection_close_error_default(&why);
    if (alert != 0) {
        ngtcp2_connection_close_error_set_transport_error_tls_alert(&why, alert, NULL, 0);
    } else {
        ngtcp2_connection_close_error_set_transport_error_liberr(&why, error, NULL, 0);
    }
#endif
    return ngtcp2_conn_write_connection_close(quic, path, info, dest, size, &why, now);
}

static inline int compat_shutdown_stream(ngtcp2_conn *quic, int64_t id, uint64_t code)
{
#if NGTCP2_VERSION_NUM >= 0x010000
    return ngtcp2_conn_shutdown_stream(quic, 0, id, code);
#else
    return ngtcp2_conn_shutdown_stream(quic, id, code);
#endif
}

/* 0.12 takes it for granted. */
static inline void compat_original_dcid_present(ngtcp2_transport_params *params)
{
#if NGTCP2_VERSION_NUM >= 0x010000
    params->original_dcid_present = 1;
#else
    (void)params;
#endif
}

#endif
