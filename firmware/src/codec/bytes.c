/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/bytes.h"

uint16_t tf_load16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | (bytes[1] << 8));
}

uint32_t tf_load32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

void tf_store32(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

/* Used for digests, identifiers and public keys only. None is secret, so the comparison need not take constant time. */
bool tf_same(const uint8_t *a, const uint8_t *b, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

bool tf_all(const uint8_t *bytes, uint8_t value, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != value) {
            return false;
        }
    }
    return true;
}

void tf_wipe(void *secret, size_t length)
{
    volatile uint8_t *bytes = secret;
    for (size_t i = 0; i < length; i++) {
        bytes[i] = 0;
    }
}
