/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32 as frames, journal records and the provisioned region use it (docs/specs/protocol.md, section 3). */
#ifndef TINYFLEET_CRC32_H
#define TINYFLEET_CRC32_H

#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/error.h"

/* The polynomial, reflected. */
#define TF_CRC32_POLYNOMIAL 0xedb88320u

/* Start with a crc of 0; pass the last result to continue. */
TF_MUST_CHECK uint32_t tf_crc32(uint32_t crc, const void *data, size_t length);

#endif
