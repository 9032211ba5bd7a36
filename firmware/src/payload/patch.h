/* SPDX-License-Identifier: Apache-2.0 */
/* Applies patches (docs/specs/patch.md), one byte per call. The old pack is only read; the new one comes out in order. */
#ifndef TF_PAYLOAD_PATCH_H
#define TF_PAYLOAD_PATCH_H

#include "payload/stream.h"

/* The pack that a patch was made against. */
struct tf_base {
    uint32_t offset;
    uint32_t size;
    const uint8_t *digest; /* NULL: nothing runs */
};

/* Read the header. TF_ERR_PATCH: it is malformed, or the patch was made against another pack than base. */
TF_MUST_CHECK int tf_patch_init(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal, const struct tf_base *base);

/* The next byte, 0 ... 255, or a negative error. TF_ERR_PATCH past the end of the patch. */
TF_MUST_CHECK int tf_patch_next(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal);

/* TF_OK when the patch ends here. */
TF_MUST_CHECK int tf_patch_end(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal);

#endif
