/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers: opening one for an accepted envelope, and writing its blocks to the target slot (docs/specs/flash.md,
 * section 3). Blocks that are held survive power loss; only the block that was being written is lost.
 */
#ifndef TF_UPDATE_TRANSFER_H
#define TF_UPDATE_TRANSFER_H

#include "codec/bytes.h"
#include "store/state.h"

/* Can this device take such a payload, of a pack of this size? TF_OK, or why not. */
TF_MUST_CHECK int tf_transfer_possible(const struct tf_agent *agent, const struct tf_transfer *transfer, uint32_t pack_bytes);

/* Mark slots as empty that were receiving. In RAM only: the caller commits. */
void tf_transfer_empty_receiving(struct tf_state *state);

/* End the open transfer, and commit that. */
TF_MUST_CHECK int tf_transfer_close(struct tf_agent *agent);

/* Close the open transfer, if any, and then erase all marks. */
TF_MUST_CHECK int tf_transfer_clear(struct tf_agent *agent);

/* Open a transfer into state->target and commit it; tf_transfer_clear() comes first. TF_NEEDS_BLOCKS, or an error. */
TF_MUST_CHECK int tf_transfer_open(struct tf_agent *agent, const struct tf_transfer *transfer);

/* Clear and open: start the transfer of the last accepted envelope again, with no block held. TF_NEEDS_BLOCKS, or an error. */
TF_MUST_CHECK int tf_transfer_reopen(struct tf_agent *agent);

/*
 * Flash refused a write of the open transfer: reopen it, at most once per start. The likely cause is a mark that power
 * loss tore and that still reads FF: some flash refuses to write it until it is erased, and all marks with it.
 * TF_NEEDS_BLOCKS, or an error.
 */
TF_MUST_CHECK int tf_transfer_restart(struct tf_agent *agent);

/* Write one block and mark it. TF_OK also when the block is already held. TF_ERR_MESSAGE: wrong index or length. */
TF_MUST_CHECK int tf_transfer_write_block(struct tf_agent *agent, uint32_t index, struct tf_view bytes, bool corrected);

/*
 * Discard the blocks whose frames had a bit corrected, so that only they are sent again. False: there are none, or too many
 * to know, or it was done before in this transfer: an attacker who sends such frames must not be able to wear out flash.
 */
TF_MUST_CHECK bool tf_transfer_discard_corrected(struct tf_agent *agent);

#endif
