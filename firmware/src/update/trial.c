/* SPDX-License-Identifier: Apache-2.0 */
#include "update/trial.h"

#include <string.h>

#include "codec/bytes.h"
#include "model/model.h"
#include "update/phase.h"

int tf_trial_failed(struct tf_agent *agent, int error)
{
    struct tf_state *state = tf_state(agent);
    const struct tf_candidate tried = tf_model_at(agent, state->target);
    memcpy(state->failed, tried.digest, TF_DIGEST_BYTES);
    state->has_failed = 1;
    state->error = (int8_t)error;
    state->result = (int8_t)error;
    state->rolled_back = 1;
    state->trial_boots = 0;
    state->flags |= error == TF_ERR_GOLDEN ? TF_FLAG_GOLDEN : error == TF_ERR_RESET || error == TF_ERR_FAULT ? TF_FLAG_RESET : 0;
    if (state->target < TF_SLOT_PREBAKED) {
        /* Keep the pack, since a newer envelope may ask for it again; but it is never a fallback. */
        const bool complete = state->phase == TF_PHASE_TRIAL && error != TF_ERR_IMAGE;
        tf_slot_of(agent, state->target)->status = complete ? TF_STATUS_VERIFIED : TF_STATUS_EMPTY;
    }
    return tf_phase_advance(agent, TF_EVENT_FAILED);
}

static int confirm(struct tf_agent *agent)
{
    struct tf_state *state = tf_state(agent);
    struct tf_running *running = &agent->running;
    if (state->target < TF_SLOT_PREBAKED) {
        tf_slot_of(agent, state->target)->status = TF_STATUS_CONFIRMED;
    }
    state->confirmed = state->target;
    state->result = TF_OK;
    state->rolled_back = 0;
    state->faults = 0;
    state->has_failed = 0;
    state->error = TF_OK;
    state->flags = 0;
    state->trial_boots = 0;
    if (!tf_same(state->configured, running->digest, TF_DIGEST_BYTES)) {
        state->parameter_count = 0; /* they belong to the previous model */
    }
    running->why = state->target < TF_SLOT_PREBAKED ? TF_WHY_CONFIRMED : TF_WHY_ASKED;
    agent->work.job = TF_JOB_NONE;
    return tf_phase_advance(agent, TF_EVENT_PASSED);
}

/* The commit comes before the restart: the next boot must not try this pack again. */
static int reject(struct tf_agent *agent, int error)
{
    agent->work.job = TF_JOB_RESET;
    return tf_trial_failed(agent, error);
}

void tf_trial_inferred(struct tf_agent *agent, int error)
{
    if (agent->work.job != TF_JOB_WATCH) {
        return;
    }
    int result = TF_OK;
    if (error != TF_OK) {
        result = reject(agent, TF_ERR_FAULT);
    } else if (++agent->work.done >= agent->hal.trial_inferences) {
        result = confirm(agent);
    }
    if (result != TF_OK) {
        tf_state(agent)->error = (int8_t)result;
    }
}

void tf_trial_input_missing(struct tf_agent *agent)
{
    /* A silent sensor is not the model's fault: the golden vectors have passed, and they decide. */
    int error = agent->work.job == TF_JOB_WATCH ? confirm(agent) : TF_OK;
    if (error != TF_OK) {
        tf_state(agent)->error = (int8_t)error;
    }
}

int tf_trial_golden(struct tf_agent *agent)
{
    const struct tf_running *running = &agent->running;
    agent->hal.watchdog_kick(agent->hal.ctx);
    int error = running->engine->golden(&running->pack, &agent->arena, agent->work.done);
    if (error == TF_OK) {
        agent->work.done++;
        return TF_OK;
    }
    if (error != TF_NO_MORE) {
        return reject(agent, error);
    }
    if (agent->hal.trial_inferences == 0 || running->is_stage) {
        return confirm(agent); /* a stage gets no windows of a sensor */
    }
    agent->work.done = 0;
    agent->work.watch_started_ms = agent->work.now_ms;
    agent->work.job = TF_JOB_WATCH;
    return TF_OK;
}

/* The port runs inferences on its own schedule. When none come, the trial ends after TF_TRIAL_MS. */
int tf_trial_watch(struct tf_agent *agent)
{
    return agent->work.now_ms - agent->work.watch_started_ms < TF_TRIAL_MS ? TF_OK : confirm(agent);
}
