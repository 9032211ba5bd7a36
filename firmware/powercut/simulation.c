/* SPDX-License-Identifier: Apache-2.0 */
#include "simulation.h"

#include <string.h>

#include "tinyfleet/crc32.h"
#include "tinyfleet/engine_forest.h"
#include "tinyfleet/sha256.h"

#define TURNS_MAX 400
#define RESENT_MAX 1
#define BURST_TOKENS 65536
#define UNIT_HEAD_BYTES 32u /* docs/specs/samples.md, section 2 */
#define STEP_BYTES 32u
#define RECORD_HEAD_BYTES 32u
#define FOREST_HEAD_BYTES 64u /* docs/specs/learning.md, section 3 */

static const struct tf_engine *const engines[] = {&tf_engine_threshold, &tf_engine_forest};
static sim_watcher *watch;

/* ------------------------------------------------------------------ the port */

static struct simulation *simulation_of(void *ctx)
{
    return ctx;
}

static int flash_read(void *ctx, uint32_t offset, void *buffer, size_t length)
{
    return flash_model_read(&simulation_of(ctx)->flash, offset, buffer, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

static int flash_write(void *ctx, uint32_t offset, const void *data, size_t length)
{
    watch(ctx, offset, data, length);
    return flash_model_write(&simulation_of(ctx)->flash, offset, data, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

static int flash_erase(void *ctx, uint32_t offset, size_t length)
{
    watch(ctx, offset, NULL, length);
    return flash_model_erase(&simulation_of(ctx)->flash, offset, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

static const uint8_t *flash_map(void *ctx, uint32_t offset, size_t length)
{
    return flash_model_map(&simulation_of(ctx)->flash, offset, length);
}

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return 0;
}

static void reset(void *ctx)
{
    simulation_of(ctx)->wants_reset = true;
}

static void watchdog_kick(void *ctx)
{
    (void)ctx;
}

static int was_fault(void *ctx)
{
    const bool raise_faults = simulation_of(ctx)->was_fault;
    simulation_of(ctx)->was_fault = false;
    return raise_faults;
}

static int start_agent(struct simulation *sim)
{
    const struct tf_hal hal = {
        .ctx = sim,
        .geometry = sim->script->geometry,
        .flash_read = flash_read,
        .flash_write = flash_write,
        .flash_erase = flash_erase,
        .flash_map = flash_map,
        .now_ms = now_ms,
        .reset = reset,
        .watchdog_kick = watchdog_kick,
        .was_fault = was_fault,
    };
    sim->wants_reset = false;
    const int error = tf_agent_init(&sim->agent, &hal, engines, sizeof engines / sizeof engines[0], (struct tf_arena){sim->arena, sizeof sim->arena});
    if (hal.geometry.samples[0].size != 0) {
        sim->sampler = (struct tf_sampler){.burst_tokens = BURST_TOKENS, .token_ms = 1};
        tf_agent_keep_samples(&sim->agent, &tf_sampling, &sim->sampler);
    }
    if (hal.geometry.rows.size != 0) {
        sim->sampler = (struct tf_sampler){.burst_tokens = BURST_TOKENS, .token_ms = 1, .learner = &sim->learner};
        tf_agent_keep_samples(&sim->agent, &tf_learning, &sim->sampler);
    }
    return error == TF_OK ? tf_agent_boot(&sim->agent) : error;
}

/* ------------------------------------------------------------------ setting up and forking */

const char *sim_make(struct simulation *sim, const struct script *script, sim_watcher *watcher)
{
    if (script->flash_bytes > FLASH_MAX || script->region.size > script->geometry.provisioned.size) {
        return "the flash is too small for the script";
    }
    memset(sim, 0, sizeof *sim);
    watch = watcher;
    sim->script = script;
    memcpy(sim->progress.old, script->initial, TF_DIGEST_BYTES);
    sim->flash = (struct flash_model){
        .bytes = sim->bytes,
        .written = sim->written,
        .size = script->flash_bytes,
        .erase_size = script->geometry.erase_size,
        .large_from = script->geometry.scratch.offset,
        .large_size = script->geometry.scratch.erase_size,
        .write_size = script->geometry.write_size,
        .random = 1,
    };
    memset(sim->bytes, 0xff, sizeof sim->bytes);
    memcpy(sim->bytes + script->geometry.provisioned.offset, script->region.data, script->region.size);
    flash_model_scan(&sim->flash);
    return NULL;
}

void sim_forget_sent(struct simulation *sim)
{
    memset(sim->progress.sent, 0, sizeof sim->progress.sent);
}

void sim_fork(struct simulation *to, const struct simulation *from)
{
    to->script = from->script;
    to->progress = from->progress;
    to->progress.resent = 0;
    if (from->agent.work.restarted) {
        sim_forget_sent(to);
    }
    memcpy(to->path, from->path, sizeof to->path);
    to->depth = from->depth + 1;
    to->was_fault = false;
    memcpy(to->bytes, from->bytes, from->flash.size);
    memcpy(to->written, from->written, from->flash.size / from->flash.write_size);
    to->flash = from->flash;
    to->flash.bytes = to->bytes;
    to->flash.written = to->written;
    to->flash.operations = 0;
}

/* ------------------------------------------------------------------ what must hold */

const struct step *sim_step(const struct simulation *sim)
{
    return &sim->script->steps[sim->progress.step];
}

static const struct offer *offer_of(const struct simulation *sim)
{
    return &sim->script->offers[sim_step(sim)->number];
}

static bool is(const uint8_t *digest, const uint8_t *wanted)
{
    return memcmp(digest, wanted, TF_DIGEST_BYTES) == 0;
}

/* The old model or the new one may run: not the new one before it was delivered, not the old one after the new was confirmed. */
static bool may_run(const struct simulation *sim, const uint8_t *digest)
{
    const struct progress *progress = &sim->progress;
    const struct step *step = sim_step(sim);
    if (!progress->started || step->act == ACT_RESTART || step->act == ACT_SAMPLE || step->act == ACT_LEARN ||
        step->act == ACT_ROTATE) {
        return is(digest, progress->old);
    }
    if (step->act == ACT_FLIP_BIT || progress->completed) {
        return is(digest, step->runs);
    }
    if (step->act == ACT_FAULT) {
        return is(digest, progress->old) || is(digest, step->runs);
    }
    return is(digest, progress->old) || (progress->may_run_new && (is(digest, offer_of(sim)->digest) || is(digest, step->runs)));
}

/* The bytes that run have the digest that the agent reports; they are never a mix of two packs. */
static bool is_intact(const struct simulation *sim)
{
    const struct tf_running *running = &sim->agent.running;
    struct tf_sha256 sha;
    uint8_t digest[TF_DIGEST_BYTES];
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, running->pack.data, running->pack.size);
    tf_sha256_final(&sha, digest);
    return is(digest, running->digest);
}

static bool parameter_is_good(const struct simulation *sim)
{
    const struct tf_running *running = &sim->agent.running;
    const struct progress *progress = &sim->progress;
    if (!progress->started && progress->step == 0) {
        return true; /* no start has been recorded yet */
    }
    const bool configuring = progress->started && sim_step(sim)->act == ACT_DELIVER && offer_of(sim)->configure;
    if (configuring && running->parameters[0] == offer_of(sim)->parameter) {
        return true;
    }
    return !is(running->digest, progress->old) || (running->parameters[0] == progress->old_parameter && !(configuring && progress->completed));
}

/* The bytes of the log at an offset; those of a record are never divided. */
static const uint8_t *sample_bytes(const struct simulation *sim, uint32_t offset)
{
    const struct tf_region *samples = &sim->script->geometry.samples[0];
    const uint32_t room = samples->erase_size - UNIT_HEAD_BYTES, units = samples->size / samples->erase_size;
    return sim->bytes + samples->offset + offset / room % units * samples->erase_size + UNIT_HEAD_BYTES + offset % room;
}

/* The length of the record at an offset, as a gateway would read it, or 0. */
static uint32_t sample_length(const struct simulation *sim, uint32_t offset)
{
    const uint32_t room = sim->script->geometry.samples[0].erase_size - UNIT_HEAD_BYTES;
    const uint8_t *bytes = sample_bytes(sim, offset);
    const uint32_t length = tf_load32(bytes);
    uint8_t covered[8];
    if (length <= RECORD_HEAD_BYTES || length > room - offset % room) {
        return 0;
    }
    tf_store32(covered, length);
    tf_store32(covered + 4, offset);
    return tf_crc32(tf_crc32(0, covered, sizeof covered), bytes + sizeof covered, length - sizeof covered) == tf_load32(bytes + 4) ? length : 0;
}

const char *sim_check_samples(struct simulation *sim)
{
    const struct tf_sample_log *log = &sim->sampler.log[0];
    struct progress *progress = &sim->progress;
    bool found[SAMPLES_MAX] = {false};
    if (log->end < progress->sample_end || log->end - log->first > log->units * log->room) {
        return "the offsets of the samples went back";
    }
    if (log->first != 0 && log->end - log->first < (log->units - 2) * log->room) {
        return "samples were dropped that the log had room for";
    }
    for (uint32_t at = log->first; at < log->end;) {
        const uint32_t length = sample_length(sim, at);
        if (length == 0) {
            at += STEP_BYTES;
            continue;
        }
        const uint8_t number = sample_bytes(sim, at)[RECORD_HEAD_BYTES];
        if (number > progress->samples || number >= SAMPLES_MAX) {
            return "a sample is there that was never taken";
        }
        if (number == progress->samples) { /* the one that was being written is complete */
            progress->sample_at[progress->samples++] = at;
        }
        if (found[number] || progress->sample_at[number] != at) {
            return "a sample has moved";
        }
        found[number] = true;
        at += (length + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
    }
    for (uint8_t i = 0; i < progress->samples; i++) {
        if (!found[i] && progress->sample_at[i] >= log->first) {
            return "a complete sample is lost";
        }
    }
    progress->sample_end = log->end;
    return NULL;
}

/* The forest that decides is the one that grows from the rows of the script. */
static bool is_expected_forest(const struct simulation *sim)
{
    struct tf_sha256 sha;
    uint8_t digest[TF_DIGEST_BYTES];
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, sim->agent.running.pack.grown, sim->learner.stored[1].end - FOREST_HEAD_BYTES);
    tf_sha256_final(&sha, digest);
    return is(digest, sim->script->forest);
}

const char *sim_check_lesson(struct simulation *sim)
{
    const struct tf_learner *learner = &sim->learner;
    struct progress *progress = &sim->progress;
    const bool grown = sim->agent.running.pack.grown != NULL;
    if (learner->stage <= TF_LEARN_WAITING) {
        return grown ? "a forest decides for a model that has grown none" : NULL;
    }
    if (learner->stage == TF_LEARN_DISCARDED || grown != (learner->stage == TF_LEARN_GROWN)) {
        return "the forest was discarded, or decides before it was accepted";
    }
    if (grown && !is_expected_forest(sim)) {
        return "the forest is not the one of its rows";
    }
    if (learner->generation < progress->generation) {
        return "the lesson went back";
    }
    if (learner->generation > progress->generation) {
        if (learner->rows > 1 || grown) {
            return "rows or a forest of another lesson count";
        }
        progress->generation = learner->generation;
        progress->rows = 0;
        progress->grown = false;
    }
    if (learner->rows < progress->rows) {
        return "a complete row is lost";
    }
    if (progress->grown && !grown) {
        return "a forest that has decided is lost";
    }
    progress->rows = learner->rows;
    progress->grown = grown;
    return NULL;
}

/* What must hold at any start, whatever was sent before. */
static const char *check_device(const struct simulation *sim)
{
    const struct tf_state *state = &sim->agent.journal.record.state;
    const struct progress *progress = &sim->progress;
    if (sim->agent.running.engine == NULL) {
        return "no model runs";
    }
    if (!is_intact(sim)) {
        return "a mix of packs runs";
    }
    if (state->rotation < progress->rotation) {
        return "an earlier root is in force again";
    }
    if (state->sequence < progress->sequence || (state->rotation == progress->rotation && state->delegation.epoch < progress->epoch)) {
        return "the sequence or the epoch went back";
    }
    if (state->boots <= progress->boots) {
        return "the count of starts went back, and with it the report counter";
    }
    return NULL;
}

/* What must hold in addition when only the steps of the script were played. */
static const char *check_script(struct simulation *sim)
{
    if (!may_run(sim, sim->agent.running.digest)) {
        return "a model runs that may not run now";
    }
    if (!parameter_is_good(sim)) {
        return "the parameter has neither its old nor its new value";
    }
    if (sim->script->geometry.rows.size != 0) {
        return sim_check_lesson(sim);
    }
    return sim->script->geometry.samples[0].size != 0 ? sim_check_samples(sim) : NULL;
}

const char *sim_boot(struct simulation *sim)
{
    if (start_agent(sim) != TF_OK) {
        return "the agent does not start";
    }
    const char *problem = check_device(sim);
    sim_note(sim);
    return problem;
}

const char *sim_start(struct simulation *sim)
{
    const char *problem = sim_boot(sim);
    return problem == NULL ? check_script(sim) : problem;
}

void sim_note(struct simulation *sim)
{
    const struct tf_state *state = &sim->agent.journal.record.state;
    sim->progress.sequence = state->sequence;
    sim->progress.epoch = state->delegation.epoch;
    sim->progress.rotation = state->rotation;
    sim->progress.boots = state->boots;
}

const char *sim_settle(struct simulation *sim)
{
    const struct step *step = sim_step(sim);
    const enum crash crash = step->act == ACT_DELIVER ? offer_of(sim)->crash : CRASH_NONE;
    const char *problem = NULL;
    for (int turn = 0; turn < TURNS_MAX && problem == NULL; turn++) {
        const bool crashes = crash != CRASH_NONE && sim->agent.journal.record.state.phase == TF_PHASE_TRIAL;
        if (sim->wants_reset || crashes) {
            sim->was_fault = crashes && crash == CRASH_FAULT;
            problem = sim_start(sim);
            continue;
        }
        const int requests = tf_agent_poll(&sim->agent, 0);
        sim_note(sim);
        if ((requests & TF_POLL_WORK) == 0 && !sim->wants_reset) {
            return NULL;
        }
    }
    return problem != NULL ? problem : "the agent never finishes its work";
}

bool sim_runs_expected(const struct simulation *sim)
{
    return sim->agent.running.engine != NULL && is(sim->agent.running.digest, sim_step(sim)->runs);
}

const char *sim_check_step(struct simulation *sim)
{
    const struct step *step = sim_step(sim);
    const struct tf_running *running = &sim->agent.running;
    if (!sim_runs_expected(sim) || !is_intact(sim)) {
        return "at the end the wrong model runs";
    }
    const struct tf_state *state = &sim->agent.journal.record.state;
    if (step->act == ACT_ROTATE && (!is(state->root, offer_of(sim)->digest) || !is(sim->agent.identity.root, offer_of(sim)->digest) ||
                                    state->rotation != offer_of(sim)->sequence || state->delegation.epoch != offer_of(sim)->epoch)) {
        return "at the end another root is in force, or another delegation";
    }
    if (step->act == ACT_DELIVER) {
        const struct offer *offer = offer_of(sim);
        if (state->sequence != offer->sequence + sim->progress.reissued || state->delegation.epoch != offer->epoch) {
            return "at the end the sequence or the epoch is not that of the offer";
        }
        if (offer->configure && running->parameters[0] != offer->parameter) {
            return "at the end the parameter is not that of the offer";
        }
    }
    if (sim->progress.resent > RESENT_MAX) {
        return "more than one block was sent again";
    }
    return sim->flash.violations != 0 ? "flash was written without an erase, or out of range" : NULL;
}
