/* SPDX-License-Identifier: Apache-2.0 */
#include "update/staging.h"

#include <string.h>

#include "store/flash.h"
#include "store/journal.h"
#include "model/model.h"
#include "update/offer.h"
#include "payload/decoder.h"
#include "update/phase.h"
#include "update/transfer.h"

static struct tf_state *state_of(struct tf_agent *agent)
{
    return &agent->journal.record.state;
}

/* ------------------------------------------------------------------ staging */

static void begin_hash(struct tf_agent *agent)
{
    tf_sha256_init(&agent->work.sha);
    agent->work.done = 0;
    agent->work.job = TF_JOB_HASH;
}

static int begin_decode(struct tf_agent *agent)
{
    const struct tf_running *running = &agent->running;
    const struct tf_base base = {running->offset, running->pack.size, tf_agent_running(agent)};
    agent->work.job = TF_JOB_DECODE;
    return tf_payload_begin(agent, &base);
}

/*
 * What was received does not become the pack that the envelope names. Blocks from mended frames are the first suspects;
 * without any, nothing is known of where it is wrong, and the transfer begins again.
 */
static void payload_is_bad(struct tf_agent *agent, int error)
{
    const struct tf_transfer transfer = state_of(agent)->transfer;
    agent->work.job = TF_JOB_NONE;
    if (tf_transfer_forget_corrected(agent) == TF_OK) {
        return;
    }
    state_of(agent)->error = (int8_t)error;
    int reopened = tf_order_reopen(agent, &transfer);
    agent->work.stage_error = (int8_t)(reopened == TF_END ? error : reopened);
}

static int stage_receiving(struct tf_agent *agent)
{
    struct tf_work *work = &agent->work;
    if (work->job != TF_JOB_NONE) {
        return TF_WORKING;
    }
    if (work->stage_error != TF_OK) {
        return work->stage_error;
    }
    if (tf_transfer_first(agent) < tf_transfer_blocks(agent)) {
        return TF_END;
    }
    if (state_of(agent)->transfer.encoding == TF_ENCODING_RAW) {
        begin_hash(agent);
        return TF_WORKING;
    }
    int error = begin_decode(agent);
    if (error != TF_OK) {
        payload_is_bad(agent, error);
        return error;
    }
    return TF_WORKING;
}

int tf_update_stage(struct tf_agent *agent, uint8_t name)
{
    struct tf_state *state = state_of(agent);
    if (name != state->transfer.name || state->sequence == 0) {
        return TF_ERR_NO_TRANSFER;
    }
    switch (state->phase) {
    case TF_PHASE_RECEIVING:
        return stage_receiving(agent);
    case TF_PHASE_STAGED:
        return TF_WORKING;
    case TF_PHASE_TRIAL:
        return TF_OK;
    default:
        return state->order_result == TF_WORKING ? TF_ERR_NO_TRANSFER : state->order_result;
    }
}

/* ------------------------------------------------------------------ ends of a trial */

int tf_update_failed(struct tf_agent *agent, int error)
{
    struct tf_state *state = state_of(agent);
    const struct tf_candidate tried = tf_model_at(agent, state->target);
    memcpy(state->failed, tried.digest, TF_DIGEST_BYTES);
    state->has_failed = 1;
    state->error = (int8_t)error;
    state->order_result = (int8_t)error;
    state->stepped_back = 1;
    state->trial_boots = 0;
    state->flags |= error == TF_ERR_GOLDEN ? TF_FLAG_GOLDEN : error == TF_ERR_RESET || error == TF_ERR_FAULT ? TF_FLAG_RESET : 0;
    if (state->target < TF_PLACE_PREBAKED) {
        /* Tried and left: kept, since a newer envelope may ask for it again; but never fallen back to. */
        const bool whole = state->phase == TF_PHASE_TRIAL && error != TF_ERR_IMAGE;
        tf_slot_of(agent, state->target)->status = whole ? TF_SLOT_WHOLE : TF_SLOT_EMPTY;
    }
    return tf_phase_advance(agent, TF_EVENT_FAILED);
}

static int confirm(struct tf_agent *agent)
{
    struct tf_state *state = state_of(agent);
    struct tf_running *running = &agent->running;
    if (state->target < TF_PLACE_PREBAKED) {
        tf_slot_of(agent, state->target)->status = TF_SLOT_CONFIRMED;
    }
    state->confirmed = state->target;
    state->order_result = TF_OK;
    state->stepped_back = 0;
    state->faults = 0;
    state->has_failed = 0;
    state->error = TF_OK;
    state->flags = 0;
    state->trial_boots = 0;
    if (!tf_same(state->configured, running->digest, TF_DIGEST_BYTES)) {
        state->parameter_count = 0; /* they were the former model's */
    }
    running->why = state->target < TF_PLACE_PREBAKED ? TF_WHY_CONFIRMED : TF_WHY_ASKED;
    agent->work.job = TF_JOB_NONE;
    return tf_phase_advance(agent, TF_EVENT_PASSED);
}

static int leave_trial(struct tf_agent *agent, int error)
{
    agent->work.job = TF_JOB_RESET;
    return tf_update_failed(agent, error);
}

void tf_update_inferred(struct tf_agent *agent, int error)
{
    if (agent->work.job != TF_JOB_WATCH) {
        return;
    }
    int result = TF_OK;
    if (error != TF_OK) {
        result = leave_trial(agent, TF_ERR_FAULT);
    } else if (++agent->work.done >= agent->hal.trial_inferences) {
        result = confirm(agent);
    }
    if (result != TF_OK) {
        state_of(agent)->error = (int8_t)result;
    }
}

void tf_update_no_input(struct tf_agent *agent)
{
    /* A silent sensor is not the model's fault: what the golden vectors said stands. */
    int error = agent->work.job == TF_JOB_WATCH ? confirm(agent) : TF_OK;
    if (error != TF_OK) {
        state_of(agent)->error = (int8_t)error;
    }
}

/* ------------------------------------------------------------------ jobs: each does one slice */

static int slice_nothing(struct tf_agent *agent)
{
    (void)agent;
    return TF_OK;
}

static int slice_decode(struct tf_agent *agent)
{
    int error = tf_payload_slice(agent);
    if (error == TF_OK) {
        begin_hash(agent);
    } else if (error != TF_WORKING) {
        payload_is_bad(agent, error);
    }
    return TF_OK;
}

static int finish_hash(struct tf_agent *agent)
{
    struct tf_state *state = state_of(agent);
    const struct tf_candidate pack = tf_model_at(agent, state->target);
    uint8_t digest[TF_DIGEST_BYTES];
    tf_sha256_final(&agent->work.sha, digest);
    if (!tf_same(digest, pack.digest, sizeof digest)) {
        payload_is_bad(agent, TF_ERR_IMAGE);
        return TF_OK;
    }
    agent->work.job = TF_JOB_NONE;
    int error = tf_model_check(agent, &pack);
    if (error != TF_OK) {
        return tf_update_failed(agent, error);
    }
    tf_slot_of(agent, state->target)->status = TF_SLOT_WHOLE;
    agent->work.job = TF_JOB_RESET;
    return tf_phase_advance(agent, TF_EVENT_WHOLE);
}

static int slice_hash(struct tf_agent *agent)
{
    struct tf_work *work = &agent->work;
    const struct tf_candidate pack = tf_model_at(agent, state_of(agent)->target);
    const uint32_t left = pack.size - work->done;
    const uint32_t n = left < TF_SLICE_BYTES ? left : TF_SLICE_BYTES;
    int error = tf_flash_hash(&agent->hal, &work->sha, pack.offset + work->done, n);
    if (error != TF_OK) {
        payload_is_bad(agent, error);
        return TF_OK;
    }
    work->done += n;
    return work->done == pack.size ? finish_hash(agent) : TF_OK;
}

static int slice_golden(struct tf_agent *agent)
{
    const struct tf_running *running = &agent->running;
    agent->hal.watchdog_kick(agent->hal.ctx);
    int error = running->engine->golden(&running->pack, &agent->arena, agent->work.done);
    if (error == TF_OK) {
        agent->work.done++;
        return TF_OK;
    }
    if (error != TF_END) {
        return leave_trial(agent, error);
    }
    if (agent->hal.trial_inferences == 0) {
        return confirm(agent);
    }
    agent->work.done = 0;
    agent->work.since_ms = agent->work.now_ms;
    agent->work.job = TF_JOB_WATCH;
    return TF_OK;
}

/* The inferences come by themselves, unless nobody asks for any. */
static int slice_watch(struct tf_agent *agent)
{
    return agent->work.now_ms - agent->work.since_ms < TF_TRIAL_MS ? TF_OK : confirm(agent);
}

static int slice_reset(struct tf_agent *agent)
{
    agent->hal.reset(agent->hal.ctx);
    return TF_OK;
}

void tf_update_slice(struct tf_agent *agent)
{
    static int (*const jobs[])(struct tf_agent *) = {
        [TF_JOB_NONE] = slice_nothing,  [TF_JOB_DECODE] = slice_decode, [TF_JOB_HASH] = slice_hash,
        [TF_JOB_GOLDEN] = slice_golden, [TF_JOB_WATCH] = slice_watch,   [TF_JOB_RESET] = slice_reset,
    };
    int error = jobs[agent->work.job](agent);
    if (error != TF_OK) {
        state_of(agent)->error = (int8_t)error;
        agent->work.report_due = true;
    }
}
