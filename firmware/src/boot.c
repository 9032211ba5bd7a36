/* SPDX-License-Identifier: Apache-2.0 */
#include "boot.h"

#include <string.h>

#include "model/model.h"
#include "store/journal.h"
#include "update/phase.h"
#include "update/trial.h"

/* A model that keeps faulting would keep the device from ever receiving a better one. */
static void reject_confirmed(struct tf_agent *agent)
{
    struct tf_state *state = tf_state(agent);
    const struct tf_candidate rejected = tf_model_at(agent, state->confirmed);
    memcpy(state->failed, rejected.digest, TF_DIGEST_BYTES);
    state->has_failed = 1;
    state->error = TF_ERR_FAULT;
    state->rolled_back = 1;
    if (state->confirmed < TF_SLOT_PREBAKED) {
        tf_slot_of(agent, state->confirmed)->status = TF_STATUS_VERIFIED;
    }
    state->confirmed = TF_SLOT_NONE;
    state->phase = state->phase == TF_PHASE_CONFIRMED ? TF_PHASE_IDLE : state->phase;
}

/* A start after a fault, outside of a trial. */
static int count_fault(struct tf_agent *agent)
{
    struct tf_state *state = tf_state(agent);
    state->boots++;
    if (++state->faults >= TF_FAULTS_MAX) {
        state->faults = 0;
        if (state->confirmed != TF_SLOT_NONE) {
            reject_confirmed(agent);
        }
    }
    return tf_journal_commit(&agent->journal, &agent->hal);
}

int tf_boot_count(struct tf_agent *agent)
{
    struct tf_state *state = tf_state(agent);
    const bool fault = agent->hal.was_fault(agent->hal.ctx) != 0;
    agent->work.flags |= fault ? TF_FLAG_INFERENCE : 0;
    if (state->phase == TF_PHASE_STAGED) {
        state->boots++;
        state->trial_boots = 1;
        state->flags &= (uint16_t)~(TF_FLAG_GOLDEN | TF_FLAG_RESET);
        return tf_phase_advance(agent, TF_EVENT_STARTED);
    }
    if (fault && state->phase != TF_PHASE_TRIAL) {
        return count_fault(agent);
    }
    int error = tf_journal_tick(&agent->journal, &agent->hal);
    if (error != TF_OK || state->phase != TF_PHASE_TRIAL) {
        return error;
    }
    if (fault) {
        return tf_trial_failed(agent, TF_ERR_FAULT); /* power loss is tolerated TF_TRIAL_BOOTS - 1 times, a crash is not */
    }
    return state->trial_boots > TF_TRIAL_BOOTS ? tf_trial_failed(agent, TF_ERR_RESET) : TF_OK;
}

/* The slot does not contain what its envelope says: make sure that nothing falls back to it again. */
static int empty_slot(struct tf_agent *agent, uint8_t slot_id, int error)
{
    struct tf_state *state = tf_state(agent);
    struct tf_slot *slot = tf_slot_of(agent, slot_id);
    state->flags |= TF_FLAG_SLOT;
    state->error = (int8_t)error;
    state->rolled_back = 1;
    state->has_failed = 1;
    memcpy(state->failed, slot->digest, TF_DIGEST_BYTES);
    slot->status = TF_STATUS_EMPTY;
    if (state->confirmed == slot_id) {
        state->confirmed = TF_SLOT_NONE;
        state->phase = state->phase == TF_PHASE_CONFIRMED ? TF_PHASE_IDLE : state->phase;
    }
    return tf_journal_commit(&agent->journal, &agent->hal);
}

/*
 * The candidates to run, in order. Each returns TF_OK when it runs, TF_NEXT when it can't (that is committed), or an
 * error of flash.
 */

/* The pack on trial. */
static int start_trial(struct tf_agent *agent)
{
    const struct tf_state *state = tf_state(agent);
    if (state->phase != TF_PHASE_TRIAL) {
        return TF_NEXT;
    }
    int error = tf_model_start(agent, state->target, TF_WHY_TRIAL);
    if (error == TF_OK) {
        agent->work.job = TF_JOB_GOLDEN;
        return TF_OK;
    }
    error = tf_trial_failed(agent, error);
    return error == TF_OK ? TF_NEXT : error;
}

/* The pack that passed the last trial. */
static int start_confirmed(struct tf_agent *agent)
{
    const struct tf_state *state = tf_state(agent);
    const uint8_t slot_id = state->confirmed;
    if (slot_id == TF_SLOT_NONE) {
        return TF_NEXT;
    }
    const enum tf_why why = state->rolled_back ? TF_WHY_PREVIOUS : slot_id < TF_SLOT_PREBAKED ? TF_WHY_CONFIRMED : TF_WHY_ASKED;
    int error = tf_model_start(agent, slot_id, why);
    if (error == TF_OK || slot_id >= TF_SLOT_PREBAKED) {
        return error == TF_OK ? TF_OK : TF_NEXT;
    }
    error = empty_slot(agent, slot_id, error);
    return error == TF_OK ? TF_NEXT : error;
}

/* A slot that once passed its trial, when the newer one can't run. */
static int start_previous(struct tf_agent *agent)
{
    struct tf_state *state = tf_state(agent);
    for (uint8_t slot_id = TF_SLOT_A; slot_id <= TF_SLOT_B; slot_id++) {
        if (tf_slot_of(agent, slot_id)->status != TF_STATUS_CONFIRMED) {
            continue;
        }
        int error = tf_model_start(agent, slot_id, TF_WHY_PREVIOUS);
        if (error != TF_OK) {
            error = empty_slot(agent, slot_id, error);
            if (error != TF_OK) {
                return error;
            }
            continue;
        }
        state->confirmed = slot_id;
        state->phase = state->phase == TF_PHASE_IDLE ? TF_PHASE_CONFIRMED : state->phase;
        return tf_journal_commit(&agent->journal, &agent->hal);
    }
    return TF_NEXT;
}

/* The first pre-baked pack that can run. */
static int start_prebaked(struct tf_agent *agent)
{
    for (uint8_t i = 0; i < agent->identity.prebaked_count; i++) {
        if (tf_model_start(agent, (uint8_t)(TF_SLOT_PREBAKED + i), TF_WHY_NO_SLOT) == TF_OK) {
            return TF_OK;
        }
    }
    return TF_NEXT;
}

int tf_boot_choose(struct tf_agent *agent)
{
    static int (*const candidates[])(struct tf_agent *) = {start_trial, start_confirmed, start_previous, start_prebaked};
    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        int error = candidates[i](agent);
        if (error != TF_NEXT) {
            return error;
        }
    }
    return TF_OK; /* nothing can run: the agent waits for a model */
}
