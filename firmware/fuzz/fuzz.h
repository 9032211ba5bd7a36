/* SPDX-License-Identifier: Apache-2.0 */
/* What all fuzz targets share: the entry that libFuzzer calls, and what must hold besides not crashing. */
#ifndef TINYFLEET_FUZZ_H
#define TINYFLEET_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* A promise of the core; the fuzzer reports the input that breaks it. */
#define FUZZ_HOLDS(promise)                                                                                                                \
    do {                                                                                                                                   \
        if (!(promise)) {                                                                                                                  \
            abort();                                                                                                                       \
        }                                                                                                                                  \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
