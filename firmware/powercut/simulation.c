/* SPDX-License-Identifier: Apache-2.0 */
#include "simulation.h"

#include <string.h>

#include "tinyfleet/sha256.h"

#define TURNS_MAX 400
#define RESENT_MAX 1

static const struct tf_engine *const engines[] = {&tf_engine_threshold};
static world_watcher *watch;

/* ------------------------------------------------------------------ the port */

static struct world *world_of(void *ctx)
{
    return ctx;
}

static int flash_read(void *ctx, uint32_t offset, void *buffer, size_t length)
{
    return flash_model_read(&world_of(ctx)->flash, offset, buffer, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

static int flash_write(void *ctx, uint32_t offset, const void *data, size_t length)
{
    watch(ctx, offset, data, length);
    return flash_model_write(&world_of(ctx)->flash, offset, data, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

static int flash_erase(void *ctx, uint32_t offset, size_t length)
{
    watch(ctx, offset, NULL, length);
    return flash_model_erase(&world_of(ctx)->flash, offset, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

static const uint8_t *flash_map(void *ctx, uint32_t offset, size_t length)
{
    return flash_model_map(&world_of(ctx)->flash, offset, length);
}

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return 0;
}

static void reset(void *ctx)
{
    world_of(ctx)->wants_reset = true;
}

static void watchdog_kick(void *ctx)
{
    (void)ctx;
}

static int was_fault(void *ctx)
{
    const bool fault = world_of(ctx)->was_fault;
    world_of(ctx)->was_fault = false;
    return fault;
}

static int start_agent(struct world *world)
{
    const struct tf_hal hal = {
        .ctx = world,
        .geometry = world->script->geometry,
        .flash_read = flash_read,
        .flash_write = flash_write,
        .flash_erase = flash_erase,
        .flash_map = flash_map,
        .now_ms = now_ms,
        .reset = reset,
        .watchdog_kick = watchdog_kick,
        .was_fault = was_fault,
    };
    world->wants_reset = false;
    const int error = tf_agent_init(&world->agent, &hal, engines, sizeof engines / sizeof engines[0], (struct tf_arena){0});
    return error == TF_OK ? tf_agent_boot(&world->agent) : error;
}

/* ------------------------------------------------------------------ making */

const char *world_make(struct world *world, const struct script *script, world_watcher *watcher)
{
    if (script->flash_bytes > FLASH_MAX || script->region.size > script->geometry.provisioned.size) {
        return "the flash is too small for the script";
    }
    memset(world, 0, sizeof *world);
    watch = watcher;
    world->script = script;
    memcpy(world->progress.old, script->born, TF_DIGEST_BYTES);
    world->flash = (struct flash_model){
        .bytes = world->bytes,
        .written = world->written,
        .size = script->flash_bytes,
        .erase_size = script->geometry.erase_size,
        .write_size = script->geometry.write_size,
        .random = 1,
    };
    memset(world->bytes, 0xff, sizeof world->bytes);
    memcpy(world->bytes + script->geometry.provisioned.offset, script->region.data, script->region.size);
    flash_model_scan(&world->flash);
    return NULL;
}

void world_forget_sent(struct world *world)
{
    memset(world->progress.sent, 0, sizeof world->progress.sent);
}

void world_fork(struct world *to, const struct world *from)
{
    to->script = from->script;
    to->progress = from->progress;
    to->progress.resent = 0;
    if (from->agent.work.restarted) {
        world_forget_sent(to);
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

const struct step *world_step(const struct world *world)
{
    return &world->script->steps[world->progress.step];
}

static const struct order *order_of(const struct world *world)
{
    return &world->script->orders[world_step(world)->number];
}

static bool is(const uint8_t *digest, const uint8_t *wanted)
{
    return memcmp(digest, wanted, TF_DIGEST_BYTES) == 0;
}

/* The old model or the new one: the new one not before it was given, the old one not after the new was confirmed. */
static bool may_run(const struct world *world, const uint8_t *digest)
{
    const struct progress *progress = &world->progress;
    const struct step *step = world_step(world);
    if (!progress->begun || step->act == ACT_START) {
        return is(digest, progress->old);
    }
    if (step->act == ACT_ROT || progress->over) {
        return is(digest, step->runs);
    }
    if (step->act == ACT_FAULT) {
        return is(digest, progress->old) || is(digest, step->runs);
    }
    return is(digest, progress->old) || (progress->may_run_new && (is(digest, order_of(world)->digest) || is(digest, step->runs)));
}

/* Never a mix: the bytes that run are those of the digest. */
static bool is_whole(const struct world *world)
{
    const struct tf_running *running = &world->agent.running;
    struct tf_sha256 sha;
    uint8_t digest[TF_DIGEST_BYTES];
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, running->pack.data, running->pack.size);
    tf_sha256_final(&sha, digest);
    return is(digest, running->digest);
}

static bool parameter_is_good(const struct world *world)
{
    const struct tf_running *running = &world->agent.running;
    const struct progress *progress = &world->progress;
    if (!progress->begun && progress->step == 0) {
        return true; /* nobody has looked yet */
    }
    const bool configuring = progress->begun && world_step(world)->act == ACT_ORDER && order_of(world)->configure;
    if (configuring && running->parameters[0] == order_of(world)->parameter) {
        return true;
    }
    return !is(running->digest, progress->old) || (running->parameters[0] == progress->old_parameter && !(configuring && progress->over));
}

static const char *judge(struct world *world)
{
    const struct tf_state *state = &world->agent.journal.record.state;
    const struct progress *progress = &world->progress;
    if (world->agent.running.engine == NULL) {
        return "nothing runs";
    }
    if (!is_whole(world)) {
        return "a mix runs";
    }
    if (!may_run(world, world->agent.running.digest)) {
        return "another model runs than may";
    }
    if (!parameter_is_good(world)) {
        return "the parameter is neither the old nor the new one";
    }
    if (state->sequence < progress->sequence || state->held.epoch < progress->epoch) {
        return "the sequence or the epoch went back";
    }
    if (state->boots <= progress->boots) {
        return "the count of starts went back, and with it that of reports";
    }
    return NULL;
}

const char *world_start(struct world *world)
{
    if (start_agent(world) != TF_OK) {
        return "it does not start";
    }
    const char *problem = judge(world);
    world_note(world);
    return problem;
}

void world_note(struct world *world)
{
    const struct tf_state *state = &world->agent.journal.record.state;
    world->progress.sequence = state->sequence;
    world->progress.epoch = state->held.epoch;
    world->progress.boots = state->boots;
}

const char *world_settle(struct world *world)
{
    const struct step *step = world_step(world);
    const enum crash crash = step->act == ACT_ORDER ? order_of(world)->crash : CRASH_NONE;
    const char *problem = NULL;
    for (int turn = 0; turn < TURNS_MAX && problem == NULL; turn++) {
        const bool crashes = crash != CRASH_NONE && world->agent.journal.record.state.phase == TF_PHASE_TRIAL;
        if (world->wants_reset || crashes) {
            world->was_fault = crashes && crash == CRASH_FAULT;
            problem = world_start(world);
            continue;
        }
        const int wishes = tf_agent_poll(&world->agent, 0);
        world_note(world);
        if ((wishes & TF_POLL_WORK) == 0 && !world->wants_reset) {
            return NULL;
        }
    }
    return problem != NULL ? problem : "it works without end";
}

bool world_runs_at_last(const struct world *world)
{
    return world->agent.running.engine != NULL && is(world->agent.running.digest, world_step(world)->runs);
}

const char *world_step_is_over(struct world *world)
{
    const struct step *step = world_step(world);
    const struct tf_running *running = &world->agent.running;
    if (!world_runs_at_last(world) || !is_whole(world)) {
        return "at the end another model runs than should";
    }
    if (step->act == ACT_ORDER) {
        const struct order *order = order_of(world);
        const struct tf_state *state = &world->agent.journal.record.state;
        if (state->sequence != order->sequence + world->progress.again || state->held.epoch != order->epoch) {
            return "at the end the sequence or the epoch is not the order's";
        }
        if (order->configure && running->parameters[0] != order->parameter) {
            return "at the end the parameter is not the order's";
        }
    }
    if (world->progress.resent > RESENT_MAX) {
        return "more than one block had to be sent again";
    }
    return world->flash.violations != 0 ? "flash was written without an erase, or outside" : NULL;
}
