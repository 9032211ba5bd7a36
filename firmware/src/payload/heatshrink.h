/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heatshrink's bit stream (docs/specs/patch.md), pulled a byte at a time, so that decoding can stop after any byte.
 * A copy reaches back at most 2^TF_WINDOW_BITS bytes; what lies before the first byte reads 0.
 */
#ifndef TF_HEATSHRINK_H
#define TF_HEATSHRINK_H

#include "payload/stream.h"

void tf_heatshrink_init(struct tf_heatshrink *decoder);

/* The next byte, 0 ... 255, or a negative error. */
TF_MUST_CHECK int tf_heatshrink_next(struct tf_heatshrink *decoder, struct tf_source *source, const struct tf_hal *hal);

#endif
