/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian numbers at any address. */
#ifndef TINYFLEET_LITTLE_ENDIAN_H
#define TINYFLEET_LITTLE_ENDIAN_H

#include <stdint.h>

#include "tinyfleet/error.h"

TF_MUST_CHECK uint16_t tf_load16(const uint8_t *bytes);
TF_MUST_CHECK uint32_t tf_load32(const uint8_t *bytes);

#endif
