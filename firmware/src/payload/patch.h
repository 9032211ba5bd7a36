/* SPDX-License-Identifier: Apache-2.0 */
/* Patches (docs/specs/patch.md), pulled a byte at a time: the old pack is only read, the new one comes out in order. */
#ifndef TF_PATCH_H
#define TF_PATCH_H

#include "payload/stream.h"

/* The pack that a patch is against. */
struct tf_base {
    uint32_t offset;
    uint32_t size;
    const uint8_t *digest; /* NULL: nothing runs */
};

/* Read the head. TF_ERR_PATCH when it is malformed or against another pack than base. */
TF_MUST_CHECK int tf_patch_init(struct tf_patch *patch, struct tf_source *source, const struct tf_hal *hal, const struct tf_base *base);

/* The next byte, 0 ... 255, or a negative error; TF_ERR_PATCH where the patch ends. */
TF_MUST_CHECK int tf_patch_next(struct tf_patch *patch, struct tf_source *source, const struct tf_hal *hal);

/* The patch ends just here. */
TF_MUST_CHECK int tf_patch_end(struct tf_patch *patch, struct tf_source *source, const struct tf_hal *hal);

#endif
