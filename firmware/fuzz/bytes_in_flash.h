/* SPDX-License-Identifier: Apache-2.0 */
/* Read-only flash backed by an array: decoders read payload and source from it. */
#ifndef TINYFLEET_FUZZ_BYTES_IN_FLASH_H
#define TINYFLEET_FUZZ_BYTES_IN_FLASH_H

#include "codec/bytes.h"
#include "fuzz.h"
#include "tinyfleet/hal.h"

/* Reading out of bounds aborts. bytes must outlive the returned struct. */
struct tf_hal bytes_in_flash(struct tf_view *bytes);

#endif
