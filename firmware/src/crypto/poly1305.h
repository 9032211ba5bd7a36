/* SPDX-License-Identifier: Apache-2.0 */
/* Poly1305 (RFC 8439, section 2.5), in constant time. A key may be used for one message only. */
#ifndef TF_CRYPTO_POLY1305_H
#define TF_CRYPTO_POLY1305_H

#include "codec/bytes.h"

#define TF_TAG_BYTES 16

void tf_poly1305(uint8_t tag[TF_TAG_BYTES], const uint8_t key[32], struct tf_view message);

#endif
