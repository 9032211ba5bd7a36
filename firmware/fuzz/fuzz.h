/* SPDX-License-Identifier: Apache-2.0 */
/* What all fuzz targets share: the function that libFuzzer calls, and a check for properties besides not crashing. */
#ifndef TINYFLEET_FUZZ_H
#define TINYFLEET_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* A property of the core. The fuzzer reports an input that violates it. */
#define FUZZ_HOLDS(property)                                                                                                                \
    do {                                                                                                                                   \
        if (!(property)) {                                                                                                                  \
            abort();                                                                                                                       \
        }                                                                                                                                  \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
