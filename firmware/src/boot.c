/* SPDX-License-Identifier: Apache-2.0 */
#include "boot.h"

#include <string.h>

#include "store/flash.h"
#include "store/journal.h"
#include "model/model.h"
#include "update/phase.h"
#include "update/transfer.h"
#include "update/staging.h"

#define ERASE_SIZE_MIN 64

static struct tf_state *state_of(struct tf_agent *agent)
{
    return &agent->journal.record.state;
}

static bool is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static bool fits(const struct tf_geometry *geometry, const struct tf_region *region, uint32_t least)
{
    return region->offset % geometry->erase_size == 0 && region->size % geometry->erase_size == 0 && region->size >= least;
}

int tf_geometry_check(const struct tf_geometry *geometry)
{
    if (!is_power_of_two(geometry->erase_size) || geometry->erase_size < ERASE_SIZE_MIN || !is_power_of_two(geometry->write_size) ||
        geometry->write_size > TF_WRITE_SIZE_MAX) {
        return TF_ERR_GEOMETRY;
    }
    const struct tf_region *slots = geometry->slot;
    bool good = fits(geometry, &geometry->journal[0], 2 * TF_RECORD_BYTES) && fits(geometry, &geometry->journal[1], 2 * TF_RECORD_BYTES) &&
                geometry->journal[0].size == geometry->journal[1].size && fits(geometry, &geometry->provisioned, 1) &&
                fits(geometry, &slots[0], 0) && fits(geometry, &slots[1], 0) && slots[0].size == slots[1].size;
    if (good && slots[0].size != 0) {
        good = fits(geometry, &geometry->scratch, geometry->erase_size) && fits(geometry, &geometry->marks, geometry->erase_size) &&
               slots[0].size / geometry->erase_size < UINT16_MAX;
    }
    return good ? TF_OK : TF_ERR_GEOMETRY;
}

/* A model that keeps faulting would keep the device from ever hearing of a better one. */
static void leave_confirmed(struct tf_agent *agent)
{
    struct tf_state *state = state_of(agent);
    const struct tf_candidate left = tf_model_at(agent, state->confirmed);
    memcpy(state->failed, left.digest, TF_DIGEST_BYTES);
    state->has_failed = 1;
    state->error = TF_ERR_FAULT;
    state->stepped_back = 1;
    if (state->confirmed < TF_PLACE_PREBAKED) {
        tf_slot_of(agent, state->confirmed)->status = TF_SLOT_WHOLE;
    }
    state->confirmed = TF_PLACE_NONE;
    state->phase = state->phase == TF_PHASE_CONFIRMED ? TF_PHASE_IDLE : state->phase;
}

/* A start after a fault, no trial being on. */
static int count_fault(struct tf_agent *agent)
{
    struct tf_state *state = state_of(agent);
    state->boots++;
    if (++state->faults >= TF_FAULTS_MAX) {
        state->faults = 0;
        if (state->confirmed != TF_PLACE_NONE) {
            leave_confirmed(agent);
        }
    }
    return tf_journal_commit(&agent->journal, &agent->hal);
}

int tf_boot_count(struct tf_agent *agent)
{
    struct tf_state *state = state_of(agent);
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
        return tf_update_failed(agent, TF_ERR_FAULT); /* power loss is forgiven TF_TRIAL_BOOTS - 1 times, a crash is not */
    }
    return state->trial_boots > TF_TRIAL_BOOTS ? tf_update_failed(agent, TF_ERR_RESET) : TF_OK;
}

/* What lies in this slot is not what was let in: nothing will fall back to it any more. */
static int empty_slot(struct tf_agent *agent, uint8_t place, int error)
{
    struct tf_state *state = state_of(agent);
    struct tf_slot *slot = tf_slot_of(agent, place);
    state->flags |= TF_FLAG_SLOT;
    state->error = (int8_t)error;
    state->stepped_back = 1;
    state->has_failed = 1;
    memcpy(state->failed, slot->digest, TF_DIGEST_BYTES);
    slot->status = TF_SLOT_EMPTY;
    if (state->confirmed == place) {
        state->confirmed = TF_PLACE_NONE;
        state->phase = state->phase == TF_PHASE_CONFIRMED ? TF_PHASE_IDLE : state->phase;
    }
    return tf_journal_commit(&agent->journal, &agent->hal);
}

/* The pack on trial. TF_END: there is none, or not any more. */
static int start_trial(struct tf_agent *agent)
{
    const struct tf_state *state = state_of(agent);
    if (state->phase != TF_PHASE_TRIAL) {
        return TF_END;
    }
    int error = tf_model_start(agent, state->target, TF_WHY_TRIAL);
    if (error == TF_OK) {
        agent->work.job = TF_JOB_GOLDEN;
        return TF_OK;
    }
    error = tf_update_failed(agent, error);
    return error == TF_OK ? TF_END : error;
}

static int start_confirmed(struct tf_agent *agent)
{
    const struct tf_state *state = state_of(agent);
    const uint8_t place = state->confirmed;
    if (place == TF_PLACE_NONE) {
        return TF_END;
    }
    const enum tf_why why = state->stepped_back ? TF_WHY_PREVIOUS : place < TF_PLACE_PREBAKED ? TF_WHY_CONFIRMED : TF_WHY_ASKED;
    int error = tf_model_start(agent, place, why);
    if (error == TF_OK || place >= TF_PLACE_PREBAKED) {
        return error == TF_OK ? TF_OK : TF_END;
    }
    error = empty_slot(agent, place, error);
    return error == TF_OK ? TF_END : error;
}

/* A slot that passed its trial once, when the newer one does not hold. */
static int start_previous(struct tf_agent *agent)
{
    struct tf_state *state = state_of(agent);
    for (uint8_t place = TF_PLACE_A; place <= TF_PLACE_B; place++) {
        if (tf_slot_of(agent, place)->status != TF_SLOT_CONFIRMED) {
            continue;
        }
        int error = tf_model_start(agent, place, TF_WHY_PREVIOUS);
        if (error != TF_OK) {
            error = empty_slot(agent, place, error);
            if (error != TF_OK) {
                return error;
            }
            continue;
        }
        state->confirmed = place;
        state->phase = state->phase == TF_PHASE_IDLE ? TF_PHASE_CONFIRMED : state->phase;
        return tf_journal_commit(&agent->journal, &agent->hal);
    }
    return TF_END;
}

static int start_prebaked(struct tf_agent *agent)
{
    for (uint8_t i = 0; i < agent->identity.prebaked_count; i++) {
        if (tf_model_start(agent, (uint8_t)(TF_PLACE_PREBAKED + i), TF_WHY_NO_SLOT) == TF_OK) {
            return TF_OK;
        }
    }
    return TF_END;
}

int tf_boot_choose(struct tf_agent *agent)
{
    static int (*const candidates[])(struct tf_agent *) = {start_trial, start_confirmed, start_previous, start_prebaked};
    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        int error = candidates[i](agent);
        if (error != TF_END) {
            return error;
        }
    }
    return TF_OK; /* nothing can run; the agent waits for a model */
}
