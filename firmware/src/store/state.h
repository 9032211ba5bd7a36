/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access to the fields of struct tf_agent that several modules share. Nothing here touches flash: a change made through
 * tf_state() is in RAM until tf_journal_commit() or tf_phase_advance() writes it.
 */
#ifndef TF_STORE_STATE_H
#define TF_STORE_STATE_H

#include "tinyfleet/state.h"

/* The state that survives power loss, to be changed and then committed. */
static inline struct tf_state *tf_state(struct tf_agent *agent)
{
    return &agent->journal.record.state;
}

/* The same, to be read only. */
static inline const struct tf_state *tf_state_view(const struct tf_agent *agent)
{
    return &agent->journal.record.state;
}

/* The record of slot A or B. slot_id may not be a pre-baked one. */
TF_MUST_CHECK struct tf_slot *tf_slot_of(struct tf_agent *agent, uint8_t slot_id);

/* Where slot A or B starts in flash. */
TF_MUST_CHECK uint32_t tf_slot_offset(const struct tf_agent *agent, uint8_t slot_id);

/* SHA-256 of the pack that runs, or NULL. */
TF_MUST_CHECK const uint8_t *tf_running_digest(const struct tf_agent *agent);

#endif
