/* SPDX-License-Identifier: Apache-2.0 */
/* The provisioned region (docs/specs/flash.md, section 1). Read only: no function here can write. */
#ifndef TF_IDENTITY_H
#define TF_IDENTITY_H

#include "tinyfleet/hal.h"
#include "tinyfleet/types.h"

/* TF_ERR_PROVISIONED when the region is not whole. Offsets of pre-baked packs become absolute. */
TF_MUST_CHECK int tf_identity_read(struct tf_identity *identity, const struct tf_hal *hal);

/* The key that signs reports. Wipe it after use. */
TF_MUST_CHECK int tf_identity_seed(const struct tf_hal *hal, uint8_t seed[TF_KEY_BYTES]);

#endif
