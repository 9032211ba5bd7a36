/* SPDX-License-Identifier: Apache-2.0 */
/* Views of bytes, comparison, and little-endian numbers at any address. */
#ifndef TF_CODEC_BYTES_H
#define TF_CODEC_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/error.h"
#include "tinyfleet/little_endian.h"

/* Bytes that the caller owns. A view is valid only as long as they are, and nothing in the core stores one. */
struct tf_view {
    const uint8_t *data;
    size_t size;
};

void tf_store32(uint8_t *bytes, uint32_t value);

TF_MUST_CHECK bool tf_same(const uint8_t *a, const uint8_t *b, size_t length);

/* True when all bytes have this value. */
TF_MUST_CHECK bool tf_all(const uint8_t *bytes, uint8_t value, size_t length);

/* Overwrite a secret in a way that no compiler optimises away. */
void tf_wipe(void *secret, size_t length);

#endif
