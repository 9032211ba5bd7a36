/* SPDX-License-Identifier: Apache-2.0 */
#include "update/phase.h"

#include "store/journal.h"

/* Back to the phase before the update: confirmed, or idle on a device that has no confirmed model. */
#define REST 0xff

#define IDLE (1 << TF_PHASE_IDLE)
#define RECEIVING (1 << TF_PHASE_RECEIVING)
#define STAGED (1 << TF_PHASE_STAGED)
#define TRIAL (1 << TF_PHASE_TRIAL)
#define CONFIRMED (1 << TF_PHASE_CONFIRMED)

static const struct {
    uint8_t from; /* bits of phases */
    uint8_t to;
} transitions[] = {
    [TF_EVENT_OPENED] = {IDLE | CONFIRMED, TF_PHASE_RECEIVING},
    [TF_EVENT_ABANDONED] = {RECEIVING, REST},
    [TF_EVENT_ACTIVATED] = {IDLE | CONFIRMED | RECEIVING, TF_PHASE_STAGED},
    [TF_EVENT_STAGED] = {RECEIVING, TF_PHASE_STAGED},
    [TF_EVENT_STARTED] = {STAGED, TF_PHASE_TRIAL},
    [TF_EVENT_PASSED] = {TRIAL, TF_PHASE_CONFIRMED},
    [TF_EVENT_FAILED] = {RECEIVING | TRIAL, REST},
};

bool tf_phase_allows(const struct tf_agent *agent, enum tf_event event)
{
    return (transitions[event].from & 1 << tf_state_view(agent)->phase) != 0;
}

int tf_phase_advance(struct tf_agent *agent, enum tf_event event)
{
    struct tf_state *state = tf_state(agent);
    if (!tf_phase_allows(agent, event)) {
        return TF_ERR_BUSY;
    }
    const uint8_t rest = state->confirmed != TF_SLOT_NONE ? TF_PHASE_CONFIRMED : TF_PHASE_IDLE;
    state->phase = transitions[event].to == REST ? rest : transitions[event].to;
    agent->work.report_due = true;
    return tf_journal_commit(&agent->journal, &agent->hal);
}
