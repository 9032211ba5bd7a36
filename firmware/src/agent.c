/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyfleet/agent.h"

#include <string.h>

#include "boot.h"
#include "report/report.h"
#include "store/geometry.h"
#include "store/identity.h"
#include "store/journal.h"
#include "store/state.h"
#include "update/jobs.h"
#include "update/repair.h"
#include "update/transfer.h"
#include "update/trial.h"

#define BITS_PER_BIN 4

int tf_agent_init(struct tf_agent *agent, const struct tf_hal *hal, const struct tf_engine *const *engines, size_t engine_count,
                  struct tf_arena arena)
{
    memset(agent, 0, sizeof *agent);
    agent->hal = *hal;
    agent->engines = engines;
    agent->engine_count = engine_count;
    agent->arena = arena;
    return tf_geometry_complete(&agent->hal.geometry);
}

void tf_agent_keep_samples(struct tf_agent *agent, const struct tf_recorder *recorder, struct tf_sampler *sampler)
{
    agent->recorder = recorder;
    agent->sampler = sampler;
}

void tf_agent_run_stages(struct tf_agent *agent, const struct tf_stage_part *part, struct tf_stage *stage)
{
    memset(stage, 0, sizeof *stage);
    agent->stage_part = part;
    agent->stage = stage;
}

void tf_agent_serve_operations(struct tf_agent *agent, const struct tf_operations_part *part, struct tf_operations *operations)
{
    operations->state = (struct tf_calls){0};
    agent->operations_part = part;
    agent->operations = operations;
}

/*
 * The order matters. An interrupted repair is finished before anything reads the slot. The start is counted, in flash,
 * before a model runs, so that a model that crashes at once is counted too.
 */
int tf_agent_boot(struct tf_agent *agent)
{
    int error = tf_identity_read(&agent->identity, &agent->hal);
    if (error == TF_OK) {
        error = tf_journal_load(&agent->journal, &agent->hal);
    }
    if (tf_state(agent)->rotation != 0) {
        memcpy(agent->identity.root, tf_state(agent)->root, TF_KEY_BYTES);
    }
    if (agent->journal.damaged) {
        agent->work.flags |= TF_FLAG_JOURNAL;
    }
    if (error == TF_OK && tf_repair_resume(agent) != TF_OK) {
        error = tf_transfer_close(agent); /* a worn-out slot must not keep the device from starting */
    }
    if (error == TF_OK) {
        error = tf_boot_count(agent);
    }
    if (error == TF_OK) {
        error = tf_boot_choose(agent);
    }
    if (agent->recorder != NULL) {
        agent->recorder->open(agent);
    }
    agent->work.report_due = true;
    agent->work.started_ms = agent->hal.now_ms(agent->hal.ctx);
    return error;
}

/* After TF_HEALTHY_MS without a fault, earlier faults no longer count. */
static void clear_faults(struct tf_agent *agent)
{
    struct tf_state *state = tf_state(agent);
    if (state->faults == 0 || agent->work.now_ms - agent->work.started_ms < TF_HEALTHY_MS) {
        return;
    }
    state->faults = 0;
    int error = tf_journal_commit(&agent->journal, &agent->hal);
    if (error != TF_OK) {
        state->error = (int8_t)error;
    }
}

int tf_agent_poll(struct tf_agent *agent, uint32_t now_ms)
{
    agent->work.now_ms = now_ms;
    tf_jobs_slice(agent);
    if (agent->stage_part != NULL) {
        agent->stage_part->slice(agent);
    }
    clear_faults(agent);
    int requests = agent->work.job != TF_JOB_NONE && agent->work.job != TF_JOB_WATCH ? TF_POLL_WORK : 0;
    if (agent->work.job == TF_JOB_NONE && agent->recorder != NULL && agent->recorder->slice != NULL && agent->recorder->slice(agent)) {
        requests = TF_POLL_WORK;
    }
    if (agent->operations_part != NULL) {
        requests |= agent->operations_part->slice(agent);
    }
    if (agent->work.report_due) {
        requests |= TF_POLL_REPORT;
    }
    return requests;
}

int tf_agent_report(struct tf_agent *agent, uint8_t *reply, size_t capacity)
{
    agent->work.report_due = false;
    return tf_report_write(agent, TF_BODY_REPORT, (struct tf_view){0}, reply, capacity);
}

static int bin_of(int32_t score)
{
    uint32_t magnitude = score < 0 ? 0u - (uint32_t)score : (uint32_t)score;
    int bits = 0;
    while (magnitude != 0) {
        bits++;
        magnitude >>= 1;
    }
    int bin = bits / BITS_PER_BIN;
    return bin < TF_HISTOGRAM_BINS ? bin : TF_HISTOGRAM_BINS - 1;
}

static void count(struct tf_agent *agent, struct tf_verdict verdict)
{
    struct tf_scores *scores = &agent->scores;
    agent->counters.inferences++;
    agent->counters.anomalies += verdict.decision != 0;
    scores->min = scores->count == 0 || verdict.score < scores->min ? verdict.score : scores->min;
    scores->max = scores->count == 0 || verdict.score > scores->max ? verdict.score : scores->max;
    scores->sum += verdict.score;
    scores->count++;
    scores->histogram[bin_of(verdict.score)]++;
}

/* input NULL: the stage of a pipeline has put it into the arena already. */
int tf_agent_infer(struct tf_agent *agent, const uint8_t *input, size_t length, struct tf_verdict *verdict)
{
    const struct tf_running *running = &agent->running;
    if (running->engine == NULL) {
        return TF_ERR_NOTHING;
    }
    if (input != NULL && agent->stage_part != NULL && agent->stage->phase != TF_STAGE_CLOSED) {
        return TF_ERR_BUSY; /* a window of the sensor would overwrite an input in the arena */
    }
    int error = running->engine->run(&running->pack, &agent->arena, running->parameters, input, length, verdict);
    if (error == TF_OK) {
        count(agent, *verdict);
    } else if (error == TF_ERR_INPUT) {
        agent->work.flags |= TF_FLAG_INPUT;
        return error; /* the sensor is at fault, not the model */
    } else {
        agent->counters.faults++;
        agent->work.flags |= TF_FLAG_INFERENCE;
    }
    tf_trial_inferred(agent, error);
    if (error == TF_OK && input != NULL && agent->recorder != NULL) {
        agent->recorder->record(agent, input, length, verdict);
    }
    return error;
}

void tf_agent_input_missing(struct tf_agent *agent)
{
    agent->work.flags |= TF_FLAG_INPUT;
    tf_agent_reset_state(agent);
    tf_trial_input_missing(agent);
}

void tf_agent_reset_state(struct tf_agent *agent)
{
    const struct tf_running *running = &agent->running;
    if (running->engine != NULL) {
        const int error = running->engine->open(&running->pack, &agent->arena);
        (void)error; /* it has opened the same pack before */
    }
}

const struct tf_identity *tf_agent_identity(const struct tf_agent *agent)
{
    return &agent->identity;
}

const uint8_t *tf_agent_running(const struct tf_agent *agent)
{
    return tf_running_digest(agent);
}
