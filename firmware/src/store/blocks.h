/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known about the blocks of the transfer in struct tf_state: how many there are, where they are in flash, and
 * which of them are held (docs/specs/flash.md, section 3). Reads flash, never writes it.
 */
#ifndef TF_STORE_BLOCKS_H
#define TF_STORE_BLOCKS_H

#include "store/state.h"

/* How many erase units a slot has. Their marks come first, those of the blocks follow. */
TF_MUST_CHECK uint32_t tf_units_per_slot(const struct tf_agent *agent);

/* How many blocks a transfer has. */
TF_MUST_CHECK uint32_t tf_blocks_of(const struct tf_transfer *transfer);

/* The same for the transfer in the state. */
TF_MUST_CHECK uint32_t tf_blocks_count(const struct tf_agent *agent);

/* Where the payload starts in flash. */
TF_MUST_CHECK uint32_t tf_blocks_payload_offset(const struct tf_agent *agent);

TF_MUST_CHECK uint32_t tf_mark_offset(const struct tf_agent *agent, uint32_t mark);
TF_MUST_CHECK bool tf_mark_is_set(const struct tf_agent *agent, uint32_t mark);

/* The position of a block in the list, or -1. */
TF_MUST_CHECK int tf_block_list_find(const struct tf_block_list *list, uint32_t index);

/* A block is held when it was written completely and has not been discarded since. */
TF_MUST_CHECK bool tf_block_held(const struct tf_agent *agent, uint32_t index);

/* The first missing block, or the number of blocks when none is missing. */
TF_MUST_CHECK uint32_t tf_blocks_first_missing(const struct tf_agent *agent);

#endif
