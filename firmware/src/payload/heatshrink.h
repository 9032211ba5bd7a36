/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes heatshrink's bit stream (docs/specs/patch.md), one byte per call, so that decoding can pause after any byte.
 * A copy reaches back at most 2^TF_WINDOW_BITS bytes. Bytes before the first one read 0.
 */
#ifndef TF_PAYLOAD_HEATSHRINK_H
#define TF_PAYLOAD_HEATSHRINK_H

#include "payload/stream.h"

void tf_heatshrink_init(struct tf_heatshrink *decoder);

/* The next byte, 0 ... 255, or a negative error. */
TF_MUST_CHECK int tf_heatshrink_next(struct tf_heatshrink *decoder, struct tf_stream *stream, const struct tf_hal *hal);

#endif
