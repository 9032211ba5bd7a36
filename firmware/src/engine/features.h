/* SPDX-License-Identifier: Apache-2.0 */
/* Computes the inputs of the trees from a window of samples (docs/specs/pack.md, sections 7.1 and 8.4). */
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

/* int16 samples in the order of the window: from memory, or from the generator of golden inputs. */
struct tf_samples {
    const uint8_t *bytes;
    uint32_t seed; /* 0: read bytes */
};

/* Rule 19. */
TF_MUST_CHECK bool tf_check_features(struct tf_section section);

#define TF_RAW 0

/* Compute y: one number per feature, 0 ... 2^bits - 1. With bits = TF_RAW, the statistics themselves. */
void tf_features(const struct tf_window_record *window, struct tf_samples samples, uint32_t bits, int32_t *y);

#endif
