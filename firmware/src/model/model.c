/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include <string.h>

#include "codec/bytes.h"
#include "envelope/envelope.h"
#include "store/flash.h"
#include "tinyfleet/pack.h"

struct tf_candidate tf_model_at(struct tf_agent *agent, uint8_t slot_id)
{
    if (slot_id >= TF_SLOT_PREBAKED) {
        const struct tf_prebaked *pack = &agent->identity.prebaked[slot_id - TF_SLOT_PREBAKED];
        return (struct tf_candidate){slot_id, pack->offset, pack->size, pack->digest};
    }
    const struct tf_slot *slot = tf_slot_of(agent, slot_id);
    return (struct tf_candidate){slot_id, tf_slot_offset(agent, slot_id), slot->pack_bytes, slot->digest};
}

static int check_digest(const struct tf_agent *agent, const struct tf_candidate *candidate)
{
    struct tf_sha256 sha;
    uint8_t digest[TF_DIGEST_BYTES];
    tf_sha256_init(&sha);
    for (uint32_t done = 0; done < candidate->size;) {
        uint32_t n = candidate->size - done < TF_SLICE_BYTES ? candidate->size - done : TF_SLICE_BYTES;
        int error = tf_flash_hash(&agent->hal, &sha, candidate->offset + done, n);
        if (error != TF_OK) {
            return error;
        }
        done += n;
    }
    tf_sha256_final(&sha, digest);
    return tf_same(digest, candidate->digest, sizeof digest) ? TF_OK : TF_ERR_IMAGE;
}

/* Check the pack's header and find its engine; NULL with the reason in *error. */
static const struct tf_engine *find_engine(const struct tf_agent *agent, const struct tf_pack *pack, int *error)
{
    *error = pack->data == NULL ? TF_ERR_FLASH : tf_pack_check(pack, agent->arena.size);
    if (*error != TF_OK) {
        return NULL;
    }
    for (size_t i = 0; i < agent->engine_count; i++) {
        if (agent->engines[i]->kind == tf_pack_kind(pack)) {
            return agent->engines[i];
        }
    }
    *error = TF_ERR_KIND;
    return NULL;
}

static struct tf_pack view_of(const struct tf_agent *agent, const struct tf_candidate *candidate)
{
    return (struct tf_pack){.data = agent->hal.flash_map(agent->hal.ctx, candidate->offset, candidate->size), .size = candidate->size};
}

int tf_model_check(const struct tf_agent *agent, const struct tf_candidate *candidate)
{
    struct tf_pack pack = view_of(agent, candidate);
    int error = TF_OK;
    const struct tf_engine *engine = find_engine(agent, &pack, &error);
    if (engine == NULL) {
        return error;
    }
    error = engine->check(&pack);
    if (error == TF_OK && tf_pack_section(&pack, TF_SECTION_LEARN).data != NULL) {
        const struct tf_recorder *recorder = agent->recorder;
        error = recorder != NULL && recorder->check != NULL ? recorder->check(agent, &pack) : TF_ERR_OPERATOR;
    }
    return error;
}

static int verify(struct tf_agent *agent, const struct tf_candidate *candidate)
{
    const struct tf_state *state = tf_state(agent);
    int error = TF_OK;
    if (candidate->slot_id < TF_SLOT_PREBAKED) {
        if (candidate->size > agent->hal.geometry.slot[0].size) {
            return TF_ERR_TOO_LARGE;
        }
        error = tf_envelope_verify_kept(tf_slot_of(agent, candidate->slot_id), &agent->identity, state->sequence);
    }
    if (error == TF_OK) {
        error = check_digest(agent, candidate);
    }
    return error == TF_OK ? tf_model_check(agent, candidate) : error;
}

int tf_model_start(struct tf_agent *agent, uint8_t slot_id, enum tf_why why)
{
    struct tf_running *running = &agent->running;
    const struct tf_candidate candidate = tf_model_at(agent, slot_id);
    tf_model_stop(agent);
    int error = verify(agent, &candidate);
    if (error != TF_OK) {
        return error;
    }
    running->pack = view_of(agent, &candidate);
    const struct tf_engine *engine = find_engine(agent, &running->pack, &error);
    if (engine != NULL) {
        error = engine->open(&running->pack, &agent->arena);
    }
    if (error != TF_OK) {
        return error;
    }
    running->engine = engine;
    running->offset = candidate.offset;
    running->slot_id = slot_id;
    running->why = (uint8_t)why;
    running->is_stage = tf_pack_is_stage(&running->pack);
    memcpy(running->digest, candidate.digest, sizeof running->digest);
    tf_model_configure(agent);
    return TF_OK;
}

void tf_model_stop(struct tf_agent *agent)
{
    memset(&agent->running, 0, sizeof agent->running);
}

int tf_model_accepts(const struct tf_agent *agent, const struct tf_parameter *values, uint8_t count)
{
    for (uint8_t i = 0; i < count; i++) {
        struct tf_parameter_entry entry;
        if (tf_pack_parameter(&agent->running.pack, values[i].index, &entry) != TF_OK || values[i].value < entry.least ||
            values[i].value > entry.most) {
            return TF_ERR_PARAMETER;
        }
    }
    return TF_OK;
}

void tf_model_configure(struct tf_agent *agent)
{
    const struct tf_state *state = tf_state(agent);
    struct tf_running *running = &agent->running;
    struct tf_parameter_entry entry;
    for (uint32_t i = 0; tf_pack_parameter(&running->pack, i, &entry) == TF_OK; i++) {
        running->parameters[i] = entry.preset;
    }
    if (!tf_same(state->configured, running->digest, TF_DIGEST_BYTES) ||
        tf_model_accepts(agent, state->parameters, state->parameter_count) != TF_OK) {
        return;
    }
    for (uint8_t i = 0; i < state->parameter_count; i++) {
        running->parameters[state->parameters[i].index] = state->parameters[i].value;
    }
}
