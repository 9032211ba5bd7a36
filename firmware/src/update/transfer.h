/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocks of a transfer, on their way into a slot (docs/specs/flash.md, section 3). What is held survives power
 * loss; at most the block that was being written is lost.
 */
#ifndef TF_TRANSFER_H
#define TF_TRANSFER_H

#include "codec/bytes.h"
#include "tinyfleet/agent.h"

/* The slot that place names. */
TF_MUST_CHECK struct tf_slot *tf_slot_of(struct tf_agent *agent, uint8_t place);
TF_MUST_CHECK uint32_t tf_slot_offset(const struct tf_agent *agent, uint8_t place);

/* Whether such a payload of a pack of this size can be taken at all: TF_OK or why not. */
TF_MUST_CHECK int tf_transfer_possible(const struct tf_agent *agent, const struct tf_transfer *transfer, uint32_t pack_bytes);

/* Forget all marks; no record may say `receiving` meanwhile. */
TF_MUST_CHECK int tf_transfer_erase_marks(struct tf_agent *agent);

/* Take one block. TF_OK also when it is held already. */
TF_MUST_CHECK int tf_transfer_block(struct tf_agent *agent, uint32_t index, struct tf_view bytes, bool corrected);

TF_MUST_CHECK uint32_t tf_transfer_blocks(const struct tf_agent *agent);
TF_MUST_CHECK bool tf_transfer_held(const struct tf_agent *agent, uint32_t index);

/* The first missing block; the number of blocks when none is missing. */
TF_MUST_CHECK uint32_t tf_transfer_first(const struct tf_agent *agent);

/* Have just the blocks sent again that were mended on the way: TF_OK, or TF_END when there are none, or too many to know. */
TF_MUST_CHECK int tf_transfer_forget_corrected(struct tf_agent *agent);

/* Where the payload lies in flash. */
TF_MUST_CHECK uint32_t tf_transfer_payload_offset(const struct tf_agent *agent);

#endif
