/* SPDX-License-Identifier: Apache-2.0 */
/* From a window of samples to the inputs of trees (docs/specs/pack.md, sections 7.1 and 8.4). */
#ifndef TF_ENGINE_FEATURES_H
#define TF_ENGINE_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/pack.h"

/* Section FEATURES, read in place. */
struct tf_window_record {
    uint16_t samples;
    uint8_t channels, features;
    struct tf_feature {
        uint8_t statistic, channel, shift, zero;
        int32_t offset;
        int32_t multiplier;
    } feature[];
} __attribute__((may_alias));

/* int16 samples in the window's order: bytes in memory, or the golden vectors' generator. */
struct tf_samples {
    const uint8_t *bytes;
    uint32_t seed; /* 0: bytes */
};

/* Rule 19. */
TF_MUST_CHECK bool tf_check_features(struct tf_section section);

/* Work out y, one number for each feature, in 0 ... 2^bits - 1. */
void tf_features(const struct tf_window_record *window, struct tf_samples samples, uint32_t bits, int32_t *y);

#endif
