/* SPDX-License-Identifier: Apache-2.0 */
/* The stages from the first row to the grown forest (docs/specs/learning.md, section 5). */
#include "tinyfleet/learning.h"

#include <string.h>

#include "learning/forest_writer.h"
#include "learning/grow_tree.h"
#include "learning/row_store.h"
#include "samples/sample_log.h"
#include "samples/sampling.h"
#include "store/state.h"
#include "tinyfleet/engine_forest.h"
#include "tinyfleet/pack.h"

#define OPERATOR 19
#define GENERATION 0x3cba2d8eu /* FNV-1a of the parameter's name, "learn-generation" */
#define MAGIC 0x31474654u      /* "TFG1" */
#define DIGEST_BYTES 16
#define FEATURES_AT 3 /* in section FEATURES */
#define ARENA_AT 12   /* in the pack's header */
#define RECIPE_BYTES 12u
#define SUBSAMPLE_MIN 2u
#define ROWS_MAX 4096u
#define PER_THOUSAND 1000u
#define SLOTS_PER_SLICE 16u
#define WORKING (1u << TF_LEARN_ERASING_ROWS | 1u << TF_LEARN_ERASING_FOREST | 1u << TF_LEARN_GROWING | 1u << TF_LEARN_EVALUATING)

/* Section LEARN, in place. */
struct recipe {
    uint16_t rows, every;
    uint32_t seed;
    uint16_t most, zero;
} __attribute__((may_alias));

_Static_assert(sizeof(struct recipe) == RECIPE_BYTES, "as the specification has it");

/* The start of region forest, written last. */
struct head {
    uint32_t magic, generation;
    uint32_t size; /* of the section that follows; 0: the forest was discarded */
    uint16_t rows, anomalous;
    uint8_t digest[DIGEST_BYTES];
    uint8_t sha[TF_DIGEST_BYTES]; /* of everything before it, and of the section; its place is known to sampling.c */
};

_Static_assert(sizeof(struct head) == 64, "as the specification has it");

static const struct recipe *recipe_of(const struct tf_pack *pack)
{
    return (const struct recipe *)(const void *)tf_pack_section(pack, TF_SECTION_LEARN).data;
}

static struct tf_forest_form form_of(const struct tf_pack *pack)
{
    return tf_forest_form(tf_pack_section(pack, TF_SECTION_FEATURES).data[FEATURES_AT], tf_pack_section(pack, TF_SECTION_FOREST).data);
}

/* The slots of the lesson in the first `bytes` of the region rows. */
static struct tf_rows rows_of(const struct tf_agent *agent, const struct tf_pack *pack, uint32_t bytes)
{
    return tf_rows_view(&agent->hal, tf_pack_section(pack, TF_SECTION_FEATURES).data[FEATURES_AT], bytes);
}

static struct tf_rows stored_rows(const struct tf_agent *agent)
{
    return rows_of(agent, &agent->running.pack, agent->sampler->learner->stored[0].end);
}

static struct tf_lesson lesson_of(const struct tf_agent *agent)
{
    return (struct tf_lesson){agent->sampler->learner->generation, agent->running.digest};
}

static const uint8_t *section_of(const struct tf_agent *agent)
{
    const struct tf_region *region = &agent->hal.geometry.forest;
    return agent->hal.flash_map(agent->hal.ctx, region->offset, region->size) + sizeof(struct head);
}

/* ------------------------------------------------------------------ the forest in flash */

static int hash_forest(const struct tf_agent *agent, const struct head *head, uint8_t digest[TF_DIGEST_BYTES])
{
    struct tf_sha256 sha;
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, head, offsetof(struct head, sha));
    const int error = tf_flash_hash(&agent->hal, &sha, agent->hal.geometry.forest.offset + (uint32_t)sizeof *head, head->size);
    tf_sha256_final(&sha, digest);
    return error;
}

static void decide(struct tf_agent *agent, const struct head *head)
{
    struct tf_learner *learner = agent->sampler->learner;
    learner->rows = head->rows;
    learner->anomalous = head->anomalous;
    learner->stage = TF_LEARN_DISCARDED;
    if (head->size != 0) {
        learner->stage = TF_LEARN_GROWN;
        learner->stored[1].end = (uint32_t)sizeof *head + head->size;
        agent->running.pack.grown = section_of(agent);
    }
}

/* The head of the forest, if it belongs to this lesson and the forest is what was accepted. */
static bool read_head(const struct tf_agent *agent, const struct tf_lesson *lesson, struct head *head)
{
    const struct tf_region *region = &agent->hal.geometry.forest;
    uint8_t digest[TF_DIGEST_BYTES];
    return tf_flash_read(&agent->hal, region->offset, head, sizeof *head) == TF_OK && head->magic == MAGIC &&
           head->generation == lesson->generation && tf_same(head->digest, lesson->digest, DIGEST_BYTES) &&
           head->size <= region->size - sizeof *head && hash_forest(agent, head, digest) == TF_OK &&
           tf_same(digest, head->sha, sizeof digest) &&
           (head->size == 0 || tf_forest_check(section_of(agent), head->size, form_of(&agent->running.pack).features));
}

/* Commit the result: a forest of this size, or none. */
static int conclude(struct tf_agent *agent, uint32_t size)
{
    const struct tf_learner *learner = agent->sampler->learner;
    const struct tf_lesson lesson = lesson_of(agent);
    struct head head;
    head.magic = MAGIC;
    head.generation = lesson.generation;
    head.size = size;
    head.rows = learner->rows;
    head.anomalous = learner->anomalous;
    memcpy(head.digest, lesson.digest, sizeof head.digest);
    int error = hash_forest(agent, &head, head.sha);
    if (error == TF_OK) {
        error = tf_flash_write(&agent->hal, agent->hal.geometry.forest.offset, &head, sizeof head);
    }
    if (error == TF_OK) {
        decide(agent, &head);
    }
    return error;
}

/* ------------------------------------------------------------------ the stages; each returns TF_OK or an error */

/* Find out what flash holds of this lesson. */
static void find_stage(struct tf_agent *agent)
{
    struct tf_learner *learner = agent->sampler->learner;
    const struct tf_pack *pack = &agent->running.pack;
    struct head head;
    memset(learner, 0, sizeof *learner);
    tf_sample_log_plain(&learner->stored[0], &agent->hal.geometry.rows);
    tf_sample_log_plain(&learner->stored[1], &agent->hal.geometry.forest);
    agent->running.pack.grown = NULL;
    if (agent->running.engine == NULL || recipe_of(pack) == NULL) {
        return;
    }
    if (tf_state(agent)->phase == TF_PHASE_TRIAL) { /* it may fail, and what the model before it has learned must stay */
        learner->stage = TF_LEARN_WAITING;
        return;
    }
    learner->generation = tf_parameter_named(agent, GENERATION, 0);
    const struct tf_lesson lesson = lesson_of(agent);
    const struct tf_rows rows = rows_of(agent, pack, agent->hal.geometry.rows.size);
    learner->stored[0].end = tf_rows_open(&agent->hal, &lesson, &rows, &learner->rows);
    if (read_head(agent, &lesson, &head)) {
        decide(agent, &head);
    } else {
        learner->stage = learner->stored[0].end != 0 ? TF_LEARN_COLLECTING : TF_LEARN_ERASING_ROWS;
    }
}

/* Erase the unit at the position, and begin what the region is for after the last one. */
static int erase(struct tf_agent *agent)
{
    struct tf_learner *learner = agent->sampler->learner;
    const bool rows = learner->stage == TF_LEARN_ERASING_ROWS;
    const struct tf_region *region = rows ? &agent->hal.geometry.rows : &agent->hal.geometry.forest;
    const int error = tf_flash_erase(&agent->hal, region->offset + learner->position, region->erase_size);
    learner->position += region->erase_size;
    if (error != TF_OK || learner->position != region->size) {
        return error;
    }
    learner->position = 0;
    learner->stage++;
    if (rows) {
        const struct tf_lesson lesson = lesson_of(agent);
        return tf_rows_begin(&agent->hal, &lesson, &learner->stored[0].end);
    }
    tf_bits_begin(&learner->writer, &agent->hal, (uint32_t)sizeof(struct head) + form_of(&agent->running.pack).front_bytes);
    learner->random = recipe_of(&agent->running.pack)->seed;
    return TF_OK;
}

/* Rows are added after inferences. */
static int collect(struct tf_agent *agent)
{
    struct tf_learner *learner = agent->sampler->learner;
    if (learner->rows < recipe_of(&agent->running.pack)->rows &&
        learner->stored[0].end + stored_rows(agent).stride <= agent->hal.geometry.rows.size) {
        return TF_OK;
    }
    learner->stage = TF_LEARN_ERASING_FOREST;
    learner->position = 0;
    return learner->rows < form_of(&agent->running.pack).subsample ? TF_ERR_CAPACITY : TF_OK; /* too many slots were torn */
}

static int grow(struct tf_agent *agent)
{
    struct tf_learner *learner = agent->sampler->learner;
    const struct tf_forest_form form = form_of(&agent->running.pack);
    if (learner->position < form.trees) {
        const struct tf_rows rows = stored_rows(agent);
        tf_grow_tree(&agent->hal, &rows, learner->rows, &form, (uint16_t *)(void *)agent->arena.data, &learner->random, &learner->writer);
        learner->position++;
        return learner->writer.error;
    }
    learner->size = tf_forest_finish(&learner->writer, &agent->hal, &form);
    learner->position = 0;
    learner->stage = TF_LEARN_EVALUATING;
    if (learner->writer.error == TF_OK && !tf_forest_check(section_of(agent), learner->size, form.features)) {
        return TF_ERR_PACK;
    }
    return learner->writer.error;
}

/* How many of its own rows does the forest find anomalous? */
static int evaluate(struct tf_agent *agent)
{
    struct tf_learner *learner = agent->sampler->learner;
    const struct tf_rows rows = stored_rows(agent);
    uint16_t row[TF_FEATURES_MAX];
    int32_t y[TF_FEATURES_MAX];
    for (uint32_t last = learner->position + SLOTS_PER_SLICE; learner->position < last; learner->position++) {
        if (learner->position == rows.slots) {
            const bool good = learner->anomalous * PER_THOUSAND <= recipe_of(&agent->running.pack)->most * (uint32_t)learner->rows;
            return conclude(agent, good ? learner->size : 0);
        }
        if (tf_row_read(&rows, learner->position, row)) {
            for (uint32_t i = 0; i < rows.features; i++) {
                y[i] = row[i];
            }
            const bool anomalous = tf_forest_score(section_of(agent), rows.features, y) < agent->running.parameters[0];
            learner->anomalous = (uint16_t)(learner->anomalous + anomalous);
        }
        agent->hal.watchdog_kick(agent->hal.ctx);
    }
    return TF_OK;
}

/* ------------------------------------------------------------------ what the agent calls */

static bool has_regions(const struct tf_agent *agent)
{
    return agent->hal.geometry.rows.size != 0;
}

static uint32_t operators(const struct tf_agent *agent)
{
    return tf_sampling_operators(agent) | (has_regions(agent) ? 1u << OPERATOR : 0);
}

static int check(const struct tf_agent *agent, const struct tf_pack *pack)
{
    const struct tf_section section = tf_pack_section(pack, TF_SECTION_LEARN);
    const struct recipe *recipe = (const void *)section.data;
    const struct tf_forest_form form = form_of(pack);
    if (!has_regions(agent)) {
        return TF_ERR_OPERATOR;
    }
    if (section.size != sizeof *recipe || tf_pack_section(pack, TF_SECTION_FOREST).data[0] != 0 || form.subsample < SUBSAMPLE_MIN ||
        form.subsample > TF_SUBSAMPLE_MAX || recipe->rows < form.subsample || recipe->rows > ROWS_MAX || recipe->every == 0 ||
        recipe->seed == 0 || recipe->most > PER_THOUSAND || recipe->zero != 0 ||
        tf_load32(pack->data + ARENA_AT) < 2 * form.features * form.subsample) {
        return TF_ERR_PACK;
    }
    return rows_of(agent, pack, agent->hal.geometry.rows.size).slots < recipe->rows ? TF_ERR_TOO_LARGE : TF_OK;
}

static void note(struct tf_agent *agent, int error)
{
    if (error != TF_OK) {
        tf_state(agent)->error = (int8_t)error; /* the device carries on: its starter decides */
    }
}

static void open_lesson(struct tf_agent *agent)
{
    tf_sampling_open(agent);
    find_stage(agent);
}

static void record(struct tf_agent *agent, const uint8_t *input, size_t length, const struct tf_verdict *verdict)
{
    struct tf_learner *learner = agent->sampler->learner;
    const struct tf_pack *pack = &agent->running.pack;
    tf_sampling_record(agent, input, length, verdict);
    if (learner->stage != TF_LEARN_COLLECTING || ++learner->since < recipe_of(pack)->every) {
        return;
    }
    learner->since = 0;
    /* pack.md, section 7.2: after an inference, the arena begins with the features */
    const struct tf_rows rows = stored_rows(agent);
    const int error = tf_row_append(&agent->hal, &rows, (const int32_t *)(const void *)agent->arena.data, &learner->stored[0].end);
    learner->rows = (uint16_t)(learner->rows + (error == TF_OK));
    note(agent, error);
    note(agent, collect(agent));
}

static int do_stage(struct tf_agent *agent, uint8_t stage)
{
    switch (stage) {
    case TF_LEARN_WAITING:
        find_stage(agent);
        return TF_OK;
    case TF_LEARN_ERASING_ROWS:
    case TF_LEARN_ERASING_FOREST:
        return erase(agent);
    case TF_LEARN_COLLECTING:
        return collect(agent);
    case TF_LEARN_GROWING:
        return grow(agent);
    case TF_LEARN_EVALUATING:
        return evaluate(agent);
    default:
        return TF_OK;
    }
}

static bool slice(struct tf_agent *agent)
{
    struct tf_learner *learner = agent->sampler->learner;
    if (learner->stage > TF_LEARN_WAITING && learner->generation != tf_parameter_named(agent, GENERATION, 0)) {
        learner->stage = TF_LEARN_WAITING;
    }
    const uint8_t before = learner->stage;
    const int error = do_stage(agent, before);
    if (error != TF_OK) {
        note(agent, error);
        if (before == TF_LEARN_GROWING) {
            note(agent, conclude(agent, 0)); /* growing again would only wear flash */
        }
        learner->stage = TF_LEARN_DISCARDED;
    }
    return (WORKING >> learner->stage & 1) != 0;
}

const struct tf_recorder tf_learning = {
    .operators = operators,
    .open = open_lesson,
    .record = record,
    .answer = tf_sampling_answer,
    .check = check,
    .slice = slice,
};
