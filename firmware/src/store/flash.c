/* SPDX-License-Identifier: Apache-2.0 */
#include "store/flash.h"

#include <string.h>

#include "tinyfleet/config.h"

uint32_t tf_round_up(uint32_t value, uint32_t unit)
{
    return (value + unit - 1) & ~(unit - 1);
}

int tf_flash_read(const struct tf_hal *hal, uint32_t offset, void *buffer, uint32_t length)
{
    return hal->flash_read(hal->ctx, offset, buffer, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

int tf_flash_write(const struct tf_hal *hal, uint32_t offset, const void *data, uint32_t length)
{
    hal->watchdog_kick(hal->ctx);
    return length == 0 || hal->flash_write(hal->ctx, offset, data, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

int tf_flash_erase(const struct tf_hal *hal, uint32_t offset, uint32_t length)
{
    hal->watchdog_kick(hal->ctx);
    return hal->flash_erase(hal->ctx, offset, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

int tf_flash_write_padded(const struct tf_hal *hal, uint32_t offset, const uint8_t *data, uint32_t length)
{
    uint8_t last[TF_WRITE_SIZE_MAX];
    uint32_t unit = hal->geometry.write_size;
    uint32_t whole = length & ~(unit - 1);
    int error = tf_flash_write(hal, offset, data, whole);
    if (error != TF_OK || whole == length) {
        return error;
    }
    memset(last, 0xff, sizeof last);
    memcpy(last, data + whole, length - whole);
    return tf_flash_write(hal, offset + whole, last, unit);
}

bool tf_flash_blank(const struct tf_hal *hal, uint32_t offset, uint32_t length)
{
    uint8_t piece[TF_PIECE_BYTES];
    while (length > 0) {
        uint32_t n = length < sizeof piece ? length : (uint32_t)sizeof piece;
        if (tf_flash_read(hal, offset, piece, n) != TF_OK || !tf_all(piece, 0xff, n)) {
            return false;
        }
        offset += n;
        length -= n;
    }
    return true;
}

int tf_flash_copy(const struct tf_hal *hal, uint32_t to, uint32_t from, uint32_t length)
{
    uint8_t piece[TF_PIECE_BYTES];
    int error = TF_OK;
    while (length > 0 && error == TF_OK) {
        uint32_t n = length < sizeof piece ? length : (uint32_t)sizeof piece;
        error = tf_flash_read(hal, from, piece, n);
        if (error == TF_OK) {
            error = tf_flash_write(hal, to, piece, n);
        }
        to += n;
        from += n;
        length -= n;
    }
    return error;
}

int tf_flash_hash(const struct tf_hal *hal, struct tf_sha256 *sha, uint32_t offset, uint32_t length)
{
    uint8_t piece[TF_PIECE_BYTES];
    int error = TF_OK;
    hal->watchdog_kick(hal->ctx);
    while (length > 0 && error == TF_OK) {
        uint32_t n = length < sizeof piece ? length : (uint32_t)sizeof piece;
        error = tf_flash_read(hal, offset, piece, n);
        if (error == TF_OK) {
            tf_sha256_update(sha, piece, n);
        }
        offset += n;
        length -= n;
    }
    return error;
}
