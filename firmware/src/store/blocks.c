/* SPDX-License-Identifier: Apache-2.0 */
#include "store/blocks.h"

#include "store/flash.h"

uint32_t tf_units_per_slot(const struct tf_agent *agent)
{
    return agent->hal.geometry.slot[0].size / agent->hal.geometry.slot[0].erase_size;
}

uint32_t tf_blocks_of(const struct tf_transfer *transfer)
{
    return transfer->payload_bytes / transfer->block_bytes + (transfer->payload_bytes % transfer->block_bytes != 0);
}

uint32_t tf_blocks_count(const struct tf_agent *agent)
{
    return tf_blocks_of(&tf_state_view(agent)->transfer);
}

uint32_t tf_blocks_payload_offset(const struct tf_agent *agent)
{
    const struct tf_state *state = tf_state_view(agent);
    const uint32_t slot = tf_slot_offset(agent, state->target);
    if (state->transfer.encoding == TF_ENCODING_RAW) {
        return slot;
    }
    return slot + agent->hal.geometry.slot[0].size - tf_round_up(state->transfer.payload_bytes, agent->hal.geometry.slot[0].erase_size);
}

uint32_t tf_mark_offset(const struct tf_agent *agent, uint32_t mark)
{
    return agent->hal.geometry.marks.offset + mark * agent->hal.geometry.write_size;
}

bool tf_mark_is_set(const struct tf_agent *agent, uint32_t mark)
{
    return !tf_flash_blank(&agent->hal, tf_mark_offset(agent, mark), agent->hal.geometry.write_size);
}

int tf_block_list_find(const struct tf_block_list *list, uint32_t index)
{
    for (int i = 0; i < list->count; i++) {
        if (list->index[i] == index) {
            return i;
        }
    }
    return -1;
}

bool tf_block_held(const struct tf_agent *agent, uint32_t index)
{
    return tf_mark_is_set(agent, tf_units_per_slot(agent) + index) && tf_block_list_find(&agent->work.discarded, index) < 0;
}

uint32_t tf_blocks_first_missing(const struct tf_agent *agent)
{
    const uint32_t blocks = tf_blocks_count(agent);
    uint32_t first = 0;
    while (first < blocks && tf_block_held(agent, first)) {
        first++;
    }
    return first;
}
