/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that never blocks, in five functions: what the MQTT client and TLS need of whatever is below them. */
#ifndef TINYFLEET_SOCKET_H
#define TINYFLEET_SOCKET_H

#include <stddef.h>
#include <stdint.h>

enum socket_state {
    SOCKET_FAILED = -1, /* closed by the other side, refused, or not trusted: close it */
    SOCKET_OPENING = 0,
    SOCKET_OPEN = 1,
};

struct socket {
    void *ctx;
    /* Begin to connect. Negative: there is no memory. */
    int (*open)(void *ctx);
    enum socket_state (*state)(void *ctx);
    /* How many bytes were taken, which may be none; negative: it has failed. */
    int (*send)(void *ctx, const uint8_t *bytes, size_t length);
    /* How many bytes have arrived, which may be none; negative: it has failed. */
    int (*receive)(void *ctx, uint8_t *bytes, size_t capacity);
    void (*close)(void *ctx);
};

#endif
