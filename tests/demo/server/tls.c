/* SPDX-License-Identifier: MIT */
/* tls.c - TLS 1.3 as QUIC wants it: no other version, no compatibility mode, ALPN required. */
#include "tls.h"

#include <stdio.h>

static const char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE";
static const char protocol[] = "demo";

static bool complain(const char *what, int error)
{
    fprintf(stderr, "server: %s: %s\n", what, gnutls_strerror(error));
    return false;
}

bool tls_open(struct tls *tls, const char *certificate, const char *key)
{
    *tls = (struct tls){0};
    int error = gnutls_certificate_allocate_credentials(&tls->credentials);
    if (error != 0) {
        return complain("credentials", error);
    }
    error = gnutls_certificate_set_x509_key_file(
        tls->credentials, certificate, key, GNUTLS_X509_FMT_PEM);
    if (error != 0) {
        return complain(certificate, error);
    }
    error = gnutls_priority_init(&tls->priorities, priorities, NULL);
    return error == 0 || complain(priorities, error);
}

void tls_close(struct tls *tls)
{
    if (tls->priorities != NULL) {
        gnutls_priority_deinit(tls->priorities);
    }
    if (tls->credentials != NULL) {
        gnutls_certificate_free_credentials(tls->credentials);
    }
}

static bool configure(gnutls_session_t session, const struct tls *tls, ngtcp2_crypto_conn_ref *ref)
{
    gnutls_datum_t alpn = {(unsigned char *)protocol, sizeof(protocol) - 1};
    gnutls_session_set_ptr(session, ref);
    return gnutls_priority_set(session, tls->priorities) == 0 &&
           gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) == 0 &&
           gnutls_alpn_set_protocols(session, &alpn, 1, GNUTLS_ALPN_MANDATORY) == 0 &&
           ngtcp2_crypto_gnutls_configure_server_session(session) == 0;
}

gnutls_session_t tls_session(const struct tls *tls, ngtcp2_crypto_conn_ref *ref)
{
    gnutls_session_t session;
    if (gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NO_TICKETS) != 0) {
        return NULL;
    }
    if (!configure(session, tls, ref)) {
        gnutls_deinit(session);
        return NULL;
    }
    return session;
}
