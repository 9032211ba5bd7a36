/* SPDX-License-Identifier: Apache-2.0 */
/* The port's flash. Maps its errors to TF_ERR_FLASH and feeds the watchdog. Offsets are absolute. */
#ifndef TF_STORE_FLASH_H
#define TF_STORE_FLASH_H

#include "codec/bytes.h"
#include "tinyfleet/sha256.h"
#include "tinyfleet/hal.h"

/* Largest piece that the core reads or copies through a buffer on the stack; a multiple of every write size. */
#define TF_PIECE_BYTES 64

TF_MUST_CHECK int tf_flash_read(const struct tf_hal *hal, uint32_t offset, void *buffer, uint32_t length);
TF_MUST_CHECK int tf_flash_write(const struct tf_hal *hal, uint32_t offset, const void *data, uint32_t length);
TF_MUST_CHECK int tf_flash_erase(const struct tf_hal *hal, uint32_t offset, uint32_t length);

/* Write any number of bytes from an aligned offset; the last write unit is padded with FF. */
TF_MUST_CHECK int tf_flash_write_padded(const struct tf_hal *hal, uint32_t offset, const uint8_t *data, uint32_t length);

/* True when all bytes are FF. A range that can't be read is not blank. */
TF_MUST_CHECK bool tf_flash_blank(const struct tf_hal *hal, uint32_t offset, uint32_t length);

/* Copy to flash that has been erased; length is a multiple of the write size. */
TF_MUST_CHECK int tf_flash_copy(const struct tf_hal *hal, uint32_t to, uint32_t from, uint32_t length);

/* Add a range of flash to the hash. */
TF_MUST_CHECK int tf_flash_hash(const struct tf_hal *hal, struct tf_sha256 *sha, uint32_t offset, uint32_t length);

TF_MUST_CHECK uint32_t tf_round_up(uint32_t value, uint32_t unit);

#endif
