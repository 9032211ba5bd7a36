/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes the payload at the end of the target slot into the pack at its start, in slices (docs/specs/patch.md). */
#ifndef TF_PAYLOAD_DECODER_H
#define TF_PAYLOAD_DECODER_H

#include "payload/patch.h"
#include "store/state.h"

/* Start decoding the transfer in the state. base: the pack that a patch may refer to. */
TF_MUST_CHECK int tf_decoder_begin(struct tf_agent *agent, const struct tf_base *base);

/* Decode up to TF_SLICE_BYTES more: TF_WORKING, TF_OK when the pack is complete, or what is wrong with the payload. */
TF_MUST_CHECK int tf_decoder_slice(struct tf_agent *agent);

#endif
