/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of bytes: views, and numbers at any address. */
#ifndef TF_BYTES_H
#define TF_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/error.h"
#include "tinyfleet/pack.h"

struct tf_view {
    const uint8_t *data;
    size_t size;
};

void tf_store32(uint8_t *bytes, uint32_t value);

TF_MUST_CHECK bool tf_same(const uint8_t *a, const uint8_t *b, size_t length);

/* All bytes have this value. */
TF_MUST_CHECK bool tf_all(const uint8_t *bytes, uint8_t value, size_t length);

/* Overwrite a secret; no compiler leaves this out. */
void tf_wipe(void *secret, size_t length);

#endif
