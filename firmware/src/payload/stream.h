/* SPDX-License-Identifier: Apache-2.0 */
/* A payload in flash as a stream of bytes. */
#ifndef TF_SOURCE_H
#define TF_SOURCE_H

#include "tinyfleet/error.h"
#include "tinyfleet/hal.h"
#include "tinyfleet/work.h"

void tf_source_init(struct tf_source *source, uint32_t offset, uint32_t length);

/* The next byte, 0 ... 255; TF_ERR_STREAM past the end; TF_ERR_FLASH. */
TF_MUST_CHECK int tf_source_byte(struct tf_source *source, const struct tf_hal *hal);

#endif
