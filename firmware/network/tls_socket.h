/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.2 with certificates on both sides over another socket, by mbedTLS. The other side's certificate must be of the given
 * authority and for the given host name. Its term is not checked: a device without a clock can't. */
#ifndef TINYFLEET_TLS_SOCKET_H
#define TINYFLEET_TLS_SOCKET_H

#include "mbedtls/ctr_drbg.h"
#include "mbedtls/ssl.h"
#include "socket.h"

/* Certificates and key in DER. All must stay where they are. */
struct tls_identity {
    const char *host;
    const uint8_t *authority, *certificate, *key;
    size_t authority_bytes, certificate_bytes, key_bytes;
};

struct tls_socket {
    struct socket below;
    enum socket_state state;
    int error; /* of mbedTLS, when the state is SOCKET_FAILED; 0: the socket below has failed */
    mbedtls_ctr_drbg_context random;
    mbedtls_x509_crt authority, certificate;
    mbedtls_pk_context key;
    mbedtls_ssl_config config;
    mbedtls_ssl_context session;
};

/* Fills bytes with entropy; returns 0. */
typedef int (*tls_entropy)(void *ctx, unsigned char *bytes, size_t length);

/* Parse the identity. Negative: an error of mbedTLS. */
int tls_socket_init(struct tls_socket *tls, struct socket below, const struct tls_identity *identity, tls_entropy entropy);

struct socket tls_socket(struct tls_socket *tls);

#endif
