/* SPDX-License-Identifier: Apache-2.0 */
/* A flash that is a run of bytes, to be read only: where decoders find payload and source. */
#ifndef TINYFLEET_FUZZ_BYTES_IN_FLASH_H
#define TINYFLEET_FUZZ_BYTES_IN_FLASH_H

#include "codec/bytes.h"
#include "fuzz.h"
#include "tinyfleet/hal.h"

/* The decoder must keep to the bytes: reading outside aborts. bytes must outlive it. */
struct tf_hal bytes_in_flash(struct tf_view *bytes);

#endif
