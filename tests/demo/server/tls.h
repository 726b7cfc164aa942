/* SPDX-License-Identifier: MIT */
/* tls.h - the server's certificate, and a GnuTLS session for each connection. */
#ifndef DEMO_TLS_H
#define DEMO_TLS_H

#include <stdbool.h>

#include "compat.h"

struct tls {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
};

/* Loads PEM files. FALSE, with a message on stderr, if they are no good. */
bool tls_open(struct tls *tls, const char *certificate, const char *key);
void tls_close(struct tls *tls);

/* A session of a connection that ref, which stays where it is, leads to. NULL: out of memory. */
gnutls_session_t tls_session(const struct tls *tls, ngtcp2_crypto_conn_ref *ref);

#endif
