/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_socket.h"

static int send_below(void *ctx, const unsigned char *bytes, size_t length)
{
    struct tls_socket *tls = ctx;
    const int sent = tls->below.send(tls->below.ctx, bytes, length);

    return sent == 0 ? MBEDTLS_ERR_SSL_WANT_WRITE : sent < 0 ? MBEDTLS_ERR_SSL_CONN_EOF : sent;
}

static int receive_below(void *ctx, unsigned char *bytes, size_t capacity)
{
    struct tls_socket *tls = ctx;
    const int got = tls->below.receive(tls->below.ctx, bytes, capacity);

    return got == 0 ? MBEDTLS_ERR_SSL_WANT_READ : got < 0 ? MBEDTLS_ERR_SSL_CONN_EOF : got;
}

static int would_block(int error)
{
    return error == MBEDTLS_ERR_SSL_WANT_READ || error == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static int failed(struct tls_socket *tls, int error)
{
    tls->state = SOCKET_FAILED;
    tls->error = error;
    return -1;
}

static int open(void *ctx)
{
    struct tls_socket *tls = ctx;

    tls->state = SOCKET_OPENING;
    tls->error = 0;
    return tls->below.open(tls->below.ctx);
}

static enum socket_state state(void *ctx)
{
    struct tls_socket *tls = ctx;

    if (tls->state != SOCKET_OPENING) {
        return tls->state;
    }
    const enum socket_state below = tls->below.state(tls->below.ctx);

    if (below == SOCKET_OPENING) {
        return SOCKET_OPENING;
    }
    const int error = mbedtls_ssl_handshake(&tls->session);

    if (error == 0) {
        tls->state = SOCKET_OPEN;
    } else if (!would_block(error)) {
        (void)failed(tls, error);
    }
    return tls->state;
}

static int send(void *ctx, const uint8_t *bytes, size_t length)
{
    struct tls_socket *tls = ctx;
    const int sent = mbedtls_ssl_write(&tls->session, bytes, length);

    return sent >= 0 ? sent : would_block(sent) ? 0 : failed(tls, sent);
}

static int receive(void *ctx, uint8_t *bytes, size_t capacity)
{
    struct tls_socket *tls = ctx;
    const int got = mbedtls_ssl_read(&tls->session, bytes, capacity);

    if (got == 0) {
        return failed(tls, MBEDTLS_ERR_SSL_CONN_EOF);
    }
    return got > 0 ? got : would_block(got) ? 0 : failed(tls, got);
}

static void close(void *ctx)
{
    struct tls_socket *tls = ctx;

    if (tls->state == SOCKET_OPEN) {
        (void)mbedtls_ssl_close_notify(&tls->session);
    }
    (void)mbedtls_ssl_session_reset(&tls->session);
    tls->below.close(tls->below.ctx);
    tls->state = SOCKET_FAILED;
}

static int parse(struct tls_socket *tls, const struct tls_identity *identity)
{
    int error = mbedtls_x509_crt_parse_der_nocopy(&tls->authority, identity->authority, identity->authority_bytes);

    if (error == 0) {
        error = mbedtls_x509_crt_parse_der_nocopy(&tls->certificate, identity->certificate, identity->certificate_bytes);
    }
    if (error == 0) {
        error = mbedtls_pk_parse_key(&tls->key, identity->key, identity->key_bytes, NULL, 0);
    }
    return error;
}

static int configure(struct tls_socket *tls, const char *host)
{
    int error = mbedtls_ssl_config_defaults(&tls->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);

    if (error == 0) {
        mbedtls_ssl_conf_authmode(&tls->config, MBEDTLS_SSL_VERIFY_REQUIRED);
        mbedtls_ssl_conf_ca_chain(&tls->config, &tls->authority, NULL);
        mbedtls_ssl_conf_rng(&tls->config, mbedtls_ctr_drbg_random, &tls->random);
        error = mbedtls_ssl_conf_max_frag_len(&tls->config, MBEDTLS_SSL_MAX_FRAG_LEN_2048);
    }
    if (error == 0) {
        error = mbedtls_ssl_conf_own_cert(&tls->config, &tls->certificate, &tls->key);
    }
    if (error == 0) {
        error = mbedtls_ssl_setup(&tls->session, &tls->config);
    }
    return error != 0 ? error : mbedtls_ssl_set_hostname(&tls->session, host);
}

int tls_socket_init(struct tls_socket *tls, struct socket below, const struct tls_identity *identity, tls_entropy entropy)
{
    tls->below = below;
    tls->state = SOCKET_FAILED;
    mbedtls_ctr_drbg_init(&tls->random);
    mbedtls_x509_crt_init(&tls->authority);
    mbedtls_x509_crt_init(&tls->certificate);
    mbedtls_pk_init(&tls->key);
    mbedtls_ssl_config_init(&tls->config);
    mbedtls_ssl_init(&tls->session);
    int error = mbedtls_ctr_drbg_seed(&tls->random, entropy, NULL, NULL, 0);

    if (error == 0) {
        error = parse(tls, identity);
    }
    if (error == 0) {
        error = configure(tls, identity->host);
    }
    if (error == 0) {
        mbedtls_ssl_set_bio(&tls->session, tls, send_below, receive_below, NULL);
    }
    return error;
}

struct socket tls_socket(struct tls_socket *tls)
{
    return (struct socket){ tls, open, state, send, receive, close };
}
