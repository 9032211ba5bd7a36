/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linker puts __wrap_tf_curve_check in the place of tf_curve_check (-Wl,--wrap). A hundred thousand starts verify the
 * same dozen envelopes, and a check of a signature takes longer than all the rest of a start: what the real check said of
 * these very 128 bytes (signature, key and the hash over all that was signed) is said again. Every other input goes to the
 * real check. The hash is computed each time.
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
