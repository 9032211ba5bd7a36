/* SPDX-License-Identifier: Apache-2.0 */
#include "update/repair.h"

#include "store/blocks.h"
#include "store/flash.h"
#include "store/journal.h"

enum direction { TO_SCRATCH, FROM_SCRATCH };

/* Copy the parts of held blocks that are in this erase unit to scratch, or back. */
static int copy_held(const struct tf_agent *agent, uint32_t unit, enum direction direction)
{
    const struct tf_geometry *geometry = &agent->hal.geometry;
    const struct tf_state *state = tf_state_view(agent);
    const uint32_t block_bytes = state->transfer.block_bytes;
    const uint32_t payload = tf_blocks_payload_offset(agent);
    const uint32_t start = tf_slot_offset(agent, state->target) + unit * geometry->slot[0].erase_size;
    const uint32_t end = start + geometry->slot[0].erase_size;
    const uint32_t blocks = tf_blocks_count(agent);
    int error = TF_OK;
    for (uint32_t i = start > payload ? (start - payload) / block_bytes : 0; i < blocks && error == TF_OK; i++) {
        uint32_t from = payload + i * block_bytes;
        uint32_t to = from + block_bytes < end ? from + block_bytes : end;
        if (from >= end) {
            break;
        }
        from = from > start ? from : start;
        if (!tf_block_held(agent, i)) {
            continue;
        }
        const uint32_t scratch = geometry->scratch.offset + (from - start);
        error = direction == TO_SCRATCH ? tf_flash_copy(&agent->hal, scratch, from, to - from)
                                        : tf_flash_copy(&agent->hal, from, scratch, to - from);
    }
    return error;
}

static int finish_repair(struct tf_agent *agent)
{
    struct tf_state *state = tf_state(agent);
    const uint32_t unit = state->repairing - 1u;
    const uint32_t erase_size = agent->hal.geometry.slot[0].erase_size;
    int error = tf_flash_erase(&agent->hal, tf_slot_offset(agent, state->target) + unit * erase_size, erase_size);
    if (error == TF_OK) {
        error = copy_held(agent, unit, FROM_SCRATCH);
    }
    if (error != TF_OK) {
        return error;
    }
    state->repairing = 0;
    return tf_journal_commit(&agent->journal, &agent->hal);
}

int tf_repair_unit(struct tf_agent *agent, uint32_t unit)
{
    int error = tf_flash_erase(&agent->hal, agent->hal.geometry.scratch.offset, agent->hal.geometry.slot[0].erase_size);
    if (error == TF_OK) {
        error = copy_held(agent, unit, TO_SCRATCH);
    }
    if (error != TF_OK) {
        return error;
    }
    tf_state(agent)->repairing = (uint16_t)(unit + 1);
    error = tf_journal_commit(&agent->journal, &agent->hal);
    return error == TF_OK ? finish_repair(agent) : error;
}

int tf_repair_resume(struct tf_agent *agent)
{
    const struct tf_state *state = tf_state_view(agent);
    return state->phase == TF_PHASE_RECEIVING && state->repairing != 0 ? finish_repair(agent) : TF_OK;
}
