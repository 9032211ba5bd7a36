/* SPDX-License-Identifier: Apache-2.0 */
/* A payload in flash, read as a stream of bytes through a small cache. */
#ifndef TF_PAYLOAD_STREAM_H
#define TF_PAYLOAD_STREAM_H

#include "tinyfleet/error.h"
#include "tinyfleet/hal.h"
#include "tinyfleet/work.h"

void tf_stream_init(struct tf_stream *stream, uint32_t offset, uint32_t length);

/* The next byte, 0 ... 255; TF_ERR_STREAM past the end; TF_ERR_FLASH. */
TF_MUST_CHECK int tf_stream_byte(struct tf_stream *stream, const struct tf_hal *hal);

#endif
