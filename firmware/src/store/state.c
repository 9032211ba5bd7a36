/* SPDX-License-Identifier: Apache-2.0 */
#include "store/state.h"

struct tf_slot *tf_slot_of(struct tf_agent *agent, uint8_t slot_id)
{
    return &tf_state(agent)->slot[slot_id == TF_SLOT_B];
}

uint32_t tf_slot_offset(const struct tf_agent *agent, uint8_t slot_id)
{
    return agent->hal.geometry.slot[slot_id == TF_SLOT_B].offset;
}

const uint8_t *tf_running_digest(const struct tf_agent *agent)
{
    return agent->running.engine != NULL ? agent->running.digest : NULL;
}
