/* SPDX-License-Identifier: Apache-2.0 */
/* From the payload at the slot's end to the pack at its start, in slices (docs/specs/patch.md). */
#ifndef TF_PAYLOAD_H
#define TF_PAYLOAD_H

#include "payload/patch.h"
#include "tinyfleet/agent.h"

enum tf_encoding {
    TF_ENCODING_RAW = 0,
    TF_ENCODING_HEATSHRINK = 1,
    TF_ENCODING_PATCH = 2,
};

/* Begin. base: what a patch may be against. */
TF_MUST_CHECK int tf_payload_begin(struct tf_agent *agent, const struct tf_base *base);

/* Decode up to TF_SLICE_BYTES more: TF_WORKING, TF_OK when the pack is whole, or what is wrong with the payload. */
TF_MUST_CHECK int tf_payload_slice(struct tf_agent *agent);

#endif
