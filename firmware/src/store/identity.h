/* SPDX-License-Identifier: Apache-2.0 */
/* The provisioned region (docs/specs/flash.md, section 1). Read only: nothing here writes to it. */
#ifndef TF_STORE_IDENTITY_H
#define TF_STORE_IDENTITY_H

#include "tinyfleet/hal.h"
#include "tinyfleet/types.h"

/* TF_ERR_PROVISIONED when the region is missing or damaged. Offsets of pre-baked packs are made absolute. */
TF_MUST_CHECK int tf_identity_read(struct tf_identity *identity, const struct tf_hal *hal);

/* The seed of the key that signs reports. The caller must tf_wipe() it after use. */
TF_MUST_CHECK int tf_identity_seed(const struct tf_hal *hal, uint8_t seed[TF_KEY_BYTES]);

#endif
