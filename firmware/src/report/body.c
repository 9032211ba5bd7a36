/* SPDX-License-Identifier: Apache-2.0 */
#include "report/body.h"

#include "crypto/cose.h"
#include "store/blocks.h"
#include "tinyfleet/crc32.h"

#define DIGEST16 16
#define PACK_FORMAT 2
#define COUNTER_SHIFT 20 /* the lower bits count the reports since boot, the upper ones the boots */
#define IS_SLOW (TF_ANSWER_MS > 2000) /* a gateway allows 2,000 ms for an answer unless the capabilities say more */
#define PARAMETER_MAP_MAX (1 + TF_PARAMETERS_MAX * 6)

void tf_write_digest16(struct tf_writer *writer, const uint8_t *digest)
{
    if (digest == NULL) {
        tf_write_null(writer);
    } else {
        tf_write_bytes(writer, digest, DIGEST16);
    }
}

/* Digest of the verified pack in a slot that does not run, or NULL. */
static const uint8_t *other_digest(const struct tf_agent *agent)
{
    for (uint8_t slot_id = TF_SLOT_A; slot_id <= TF_SLOT_B; slot_id++) {
        const struct tf_slot *slot = &tf_state_view(agent)->slot[slot_id - TF_SLOT_A];
        if (slot->status >= TF_STATUS_VERIFIED && slot_id != agent->running.slot_id) {
            return slot->digest;
        }
    }
    return NULL;
}

static uint8_t parameters_in_force(const struct tf_agent *agent)
{
    const struct tf_state *state = tf_state_view(agent);
    return agent->running.engine != NULL && tf_same(state->configured, agent->running.digest, TF_DIGEST_BYTES) ? state->parameter_count : 0;
}

static void write_parameter_map(struct tf_writer *writer, const struct tf_agent *agent)
{
    const struct tf_parameter *parameters = tf_state_view(agent)->parameters;
    const uint8_t count = parameters_in_force(agent);
    tf_write_head(writer, TF_MAP, count);
    for (uint8_t i = 0; i < count; i++) {
        tf_write_uint(writer, parameters[i].index);
        tf_write_int(writer, parameters[i].value);
    }
}

uint32_t tf_parameters_crc(const struct tf_agent *agent)
{
    uint8_t map[PARAMETER_MAP_MAX];
    struct tf_writer writer = {map, sizeof map, 0};
    if (parameters_in_force(agent) == 0) {
        return 0;
    }
    write_parameter_map(&writer, agent);
    return tf_crc32(0, map, writer.length);
}

static void write_transfer(struct tf_writer *writer, struct tf_agent *agent)
{
    const struct tf_state *state = tf_state_view(agent);
    if (state->phase != TF_PHASE_RECEIVING) {
        tf_write_null(writer);
        return;
    }
    tf_write_head(writer, TF_ARRAY, 5);
    tf_write_digest16(writer, tf_slot_of(agent, state->target)->digest);
    tf_write_uint(writer, state->transfer.encoding);
    tf_write_uint(writer, state->transfer.payload_bytes);
    tf_write_uint(writer, state->transfer.block_bytes);
    tf_write_uint(writer, tf_blocks_first_missing(agent));
}

static void write_report(struct tf_writer *writer, struct tf_agent *agent)
{
    const struct tf_state *state = tf_state_view(agent);
    const struct tf_running *running = &agent->running;
    uint8_t kid[TF_KID_BYTES] = {0};
    if (state->delegation.epoch != 0) {
        tf_key_id(kid, state->delegation.key);
    }
    tf_write_head(writer, TF_ARRAY, 20);
    tf_write_uint(writer, TF_BODY_REPORT);
    tf_write_head(writer, TF_UINT, ((uint64_t)state->boots << COUNTER_SHIFT) + agent->counters.reports);
    tf_write_uint(writer, state->sequence);
    tf_write_uint(writer, state->delegation.epoch);
    tf_write_bytes(writer, kid, sizeof kid);
    tf_write_uint(writer, state->phase);
    tf_write_uint(writer, running->slot_id >= TF_SLOT_PREBAKED ? 1u : running->slot_id);
    tf_write_digest16(writer, tf_running_digest(agent));
    tf_write_digest16(writer, other_digest(agent));
    tf_write_uint(writer, running->why);
    tf_write_digest16(writer, state->has_failed ? state->failed : NULL);
    tf_write_int(writer, state->error);
    tf_write_uint(writer, state->flags | agent->work.flags);
    tf_write_uint(writer, tf_parameters_crc(agent));
    tf_write_uint(writer, state->boots);
    tf_write_uint(writer, agent->counters.inferences);
    tf_write_uint(writer, agent->counters.anomalies);
    tf_write_uint(writer, agent->counters.faults);
    write_transfer(writer, agent);
    tf_key_id(kid, agent->identity.root);
    tf_write_bytes(writer, kid, sizeof kid);
}

static void write_operators(struct tf_writer *writer, const struct tf_agent *agent)
{
    uint32_t operators = agent->recorder != NULL ? agent->recorder->operators(agent) : 0;
    if (agent->stage_part != NULL) {
        operators |= agent->stage_part->operators;
    }
    if (agent->operations_part != NULL) {
        operators |= agent->operations_part->operators;
    }
    uint8_t bytes[4];
    size_t length = sizeof bytes;
    for (size_t i = 0; i < agent->engine_count; i++) {
        operators |= agent->engines[i]->operators;
    }
    tf_store32(bytes, operators);
    while (length > 0 && bytes[length - 1] == 0) {
        length--;
    }
    tf_write_bytes(writer, bytes, length);
}

static void write_capabilities(struct tf_writer *writer, struct tf_agent *agent)
{
    const struct tf_identity *identity = &agent->identity;
    const uint32_t slot_bytes = agent->hal.geometry.slot[0].size;
    tf_write_head(writer, TF_ARRAY, IS_SLOW ? 13 : 12);
    tf_write_uint(writer, TF_BODY_CAPABILITIES);
    tf_write_text(writer, identity->type);
    tf_write_bytes(writer, identity->class_id, TF_UUID_BYTES);
    tf_write_uint(writer, PACK_FORMAT);
    write_operators(writer, agent);
    tf_write_uint(writer, slot_bytes);
    tf_write_uint(writer, agent->arena.size);
    tf_write_uint(writer, TF_BLOCK_MAX);
    tf_write_uint(writer, TF_BLOCK_MS);
    tf_write_head(writer, TF_SIMPLE, slot_bytes != 0 ? TF_CBOR_TRUE : TF_CBOR_FALSE);
    tf_write_head(writer, TF_ARRAY, identity->prebaked_count);
    for (uint8_t i = 0; i < identity->prebaked_count; i++) {
        tf_write_digest16(writer, identity->prebaked[i].digest);
    }
    tf_write_text(writer, TF_FIRMWARE_VERSION);
    if (IS_SLOW) {
        tf_write_uint(writer, TF_ANSWER_MS);
    }
}

static void write_summary(struct tf_writer *writer, struct tf_agent *agent)
{
    const struct tf_scores *scores = &agent->scores;
    tf_write_head(writer, TF_ARRAY, 7);
    tf_write_uint(writer, TF_BODY_SUMMARY);
    tf_write_digest16(writer, tf_running_digest(agent));
    tf_write_uint(writer, agent->counters.inferences);
    tf_write_uint(writer, agent->counters.anomalies);
    tf_write_uint(writer, agent->counters.faults);
    tf_write_uint(writer, tf_state_view(agent)->boots);
    if (scores->count == 0) {
        tf_write_null(writer);
        return;
    }
    tf_write_head(writer, TF_ARRAY, 5);
    tf_write_uint(writer, scores->count);
    tf_write_int(writer, scores->min);
    tf_write_int(writer, scores->max);
    tf_write_int(writer, scores->sum);
    tf_write_head(writer, TF_ARRAY, TF_HISTOGRAM_BINS);
    for (int i = 0; i < TF_HISTOGRAM_BINS; i++) {
        tf_write_uint(writer, scores->histogram[i]);
    }
}

static void write_parameters(struct tf_writer *writer, struct tf_agent *agent)
{
    tf_write_head(writer, TF_ARRAY, 3);
    tf_write_uint(writer, TF_BODY_PARAMETERS);
    tf_write_digest16(writer, tf_running_digest(agent));
    write_parameter_map(writer, agent);
}

tf_body_writer *tf_body(enum tf_body body)
{
    static tf_body_writer *const bodies[] = {
        [TF_BODY_REPORT] = write_report,
        [TF_BODY_CAPABILITIES] = write_capabilities,
        [TF_BODY_SUMMARY] = write_summary,
        [TF_BODY_PARAMETERS] = write_parameters,
    };
    return bodies[body];
}
