/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linker replaces tf_curve_check by __wrap_tf_curve_check (-Wl,--wrap). A hundred thousand starts verify the same
 * dozen envelopes, and one signature check takes longer than everything else in a start. So the result of the real check
 * is remembered for its 128 bytes of input: signature, key, and hash of what was signed. The hash is computed every time,
 * and any other input goes to the real check.
 */
#include <stdint.h>
#include <string.h>

#include "crypto/curve.h"

#define KNOWN_MAX 256

int __real_tf_curve_check(const uint8_t signature[64], const uint8_t key[32], const uint8_t h[32]);
int __wrap_tf_curve_check(const uint8_t signature[64], const uint8_t key[32], const uint8_t h[32]);

static struct {
    uint8_t input[128];
    int result;
} known[KNOWN_MAX];

int __wrap_tf_curve_check(const uint8_t signature[64], const uint8_t key[32], const uint8_t h[32])
{
    static unsigned count;
    uint8_t input[128];
    memcpy(input, signature, 64);
    memcpy(input + 64, key, 32);
    memcpy(input + 96, h, 32);
    for (unsigned i = 0; i < count; i++) {
        if (memcmp(known[i].input, input, sizeof input) == 0) {
            return known[i].result;
        }
    }
    const int result = __real_tf_curve_check(signature, key, h);
    if (count < KNOWN_MAX) {
        memcpy(known[count].input, input, sizeof input);
        known[count++].result = result;
    }
    return result;
}
