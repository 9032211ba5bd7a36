/* SPDX-License-Identifier: Apache-2.0 */
#include "update/offer.h"

#include <string.h>

#include "envelope/envelope.h"
#include "model/model.h"
#include "store/journal.h"
#include "update/phase.h"
#include "update/transfer.h"

/* The largest pack that an envelope may install: one that fits a slot, or the largest pre-baked one. */
static uint32_t largest_pack(const struct tf_agent *agent)
{
    uint32_t largest = agent->hal.geometry.slot[0].size;
    for (uint8_t i = 0; i < agent->identity.prebaked_count; i++) {
        uint32_t size = agent->identity.prebaked[i].size;
        largest = size > largest ? size : largest;
    }
    return largest;
}

static int verify(struct tf_agent *agent, struct tf_view envelope, struct tf_accepted *accepted)
{
    const struct tf_trust trust = {
        .identity = &agent->identity,
        .sequence = tf_state(agent)->sequence,
        .delegation = &tf_state(agent)->delegation,
        .running = tf_running_digest(agent),
        .slot_bytes = largest_pack(agent),
        .now = agent->hal.unix_s != NULL ? agent->hal.unix_s(agent->hal.ctx) : 0,
    };
    return tf_envelope_verify(envelope, &trust, accepted);
}

/* Record what every accepted envelope changes. The caller commits it together with what this envelope asks for. */
static void record(struct tf_state *state, const struct tf_accepted *accepted, const uint8_t digest[TF_DIGEST_BYTES], int8_t result)
{
    state->sequence = accepted->manifest.sequence;
    state->delegation = accepted->delegation;
    memcpy(state->envelope, digest, TF_DIGEST_BYTES);
    state->result = result;
    if (tf_same(state->failed, accepted->manifest.digest, TF_DIGEST_BYTES)) {
        state->has_failed = 0; /* a new try: the report must not give the verdict on the earlier one */
    }
}

static int configure(struct tf_agent *agent, const struct tf_accepted *accepted, const uint8_t digest[TF_DIGEST_BYTES])
{
    struct tf_state *state = tf_state(agent);
    const struct tf_manifest *manifest = &accepted->manifest;
    int error = tf_model_accepts(agent, manifest->values, manifest->value_count);
    if (error != TF_OK) {
        return error;
    }
    record(state, accepted, digest, TF_OK);
    memcpy(state->configured, manifest->digest, TF_DIGEST_BYTES);
    memset(state->parameters, 0, sizeof state->parameters);
    memcpy(state->parameters, manifest->values, manifest->value_count * sizeof manifest->values[0]);
    state->parameter_count = manifest->value_count;
    agent->work.report_due = true;
    error = tf_journal_commit(&agent->journal, &agent->hal);
    if (error == TF_OK) {
        tf_model_configure(agent);
    }
    return error;
}

/* The slot in which this pack is already stored, or TF_SLOT_NONE. */
static uint8_t find_pack(struct tf_agent *agent, const struct tf_manifest *manifest)
{
    for (uint8_t slot_id = TF_SLOT_A; slot_id <= TF_SLOT_B; slot_id++) {
        const struct tf_slot *slot = tf_slot_of(agent, slot_id);
        if (slot->status >= TF_STATUS_VERIFIED && slot->pack_bytes == manifest->size &&
            tf_same(slot->digest, manifest->digest, TF_DIGEST_BYTES)) {
            return slot_id;
        }
    }
    for (uint8_t i = 0; i < agent->identity.prebaked_count; i++) {
        const struct tf_prebaked *pack = &agent->identity.prebaked[i];
        if (pack->size == manifest->size && tf_same(pack->digest, manifest->digest, TF_DIGEST_BYTES)) {
            return (uint8_t)(TF_SLOT_PREBAKED + i);
        }
    }
    return TF_SLOT_NONE;
}

/* The device already has the pack: only the envelope had to travel. */
static int activate(struct tf_agent *agent, const struct tf_accepted *accepted, const uint8_t digest[TF_DIGEST_BYTES], uint8_t slot_id)
{
    struct tf_state *state = tf_state(agent);
    const bool runs_already = slot_id == state->confirmed && slot_id == agent->running.slot_id;
    int error = slot_id < TF_SLOT_PREBAKED ? tf_envelope_keep(accepted, tf_slot_of(agent, slot_id)) : TF_OK;
    if (error != TF_OK) {
        return error;
    }
    record(state, accepted, digest, runs_already ? TF_OK : TF_WORKING);
    if (runs_already) {
        return tf_journal_commit(&agent->journal, &agent->hal);
    }
    tf_transfer_empty_receiving(state);
    state->target = slot_id;
    agent->work.job = TF_JOB_RESET;
    error = tf_phase_advance(agent, TF_EVENT_ACTIVATED);
    return error == TF_OK ? TF_WORKING : error;
}

static bool same_payload(const struct tf_transfer *a, const struct tf_transfer *b)
{
    return a->encoding == b->encoding && a->block_bytes == b->block_bytes && a->payload_bytes == b->payload_bytes;
}

/* The open transfer is of the same pack, in the same payload: its blocks are good for this envelope too. */
static bool continues(struct tf_agent *agent, const struct tf_manifest *manifest, const struct tf_transfer *transfer)
{
    struct tf_state *state = tf_state(agent);
    const struct tf_slot *slot = tf_slot_of(agent, state->target);
    return state->phase == TF_PHASE_RECEIVING && slot->pack_bytes == manifest->size &&
           tf_same(slot->digest, manifest->digest, TF_DIGEST_BYTES) && same_payload(&state->transfer, transfer);
}

static int continue_transfer(struct tf_agent *agent, const struct tf_accepted *accepted, const uint8_t digest[TF_DIGEST_BYTES],
                             uint8_t name)
{
    struct tf_state *state = tf_state(agent);
    int error = tf_envelope_keep(accepted, tf_slot_of(agent, state->target));
    if (error != TF_OK) {
        return error;
    }
    record(state, accepted, digest, TF_WORKING);
    state->transfer.name = name;
    error = tf_journal_commit(&agent->journal, &agent->hal);
    return error == TF_OK ? TF_NEEDS_BLOCKS : error;
}

static int receive(struct tf_agent *agent, const struct tf_accepted *accepted, const uint8_t digest[TF_DIGEST_BYTES],
                   const struct tf_transfer *transfer)
{
    struct tf_state *state = tf_state(agent);
    if (continues(agent, &accepted->manifest, transfer)) {
        return continue_transfer(agent, accepted, digest, transfer->name);
    }
    int error = tf_transfer_possible(agent, transfer, accepted->manifest.size);
    if (error == TF_OK) {
        error = tf_transfer_clear(agent);
    }
    if (error != TF_OK) {
        return error;
    }
    record(state, accepted, digest, TF_WORKING);
    state->target = agent->running.slot_id == TF_SLOT_A || state->confirmed == TF_SLOT_A ? TF_SLOT_B : TF_SLOT_A;
    error = tf_envelope_keep(accepted, tf_slot_of(agent, state->target));
    return error == TF_OK ? tf_transfer_open(agent, transfer) : error;
}

/*
 * The last accepted envelope arrives again, because an answer was lost or the device restarted. Its first offer has decided
 * the shape of the payload, which no signature covers: were another shape taken, a replay could erase flash without end.
 */
static int repeat(struct tf_agent *agent, const struct tf_transfer *transfer, bool has_payload)
{
    struct tf_state *state = tf_state(agent);
    if (state->result != TF_WORKING || state->phase == TF_PHASE_STAGED || state->phase == TF_PHASE_TRIAL) {
        return state->result;
    }
    if (!has_payload) {
        return TF_ERR_NO_PAYLOAD;
    }
    if (!same_payload(&state->transfer, transfer)) {
        return TF_ERR_NO_TRANSFER;
    }
    state->transfer.name = transfer->name; /* not committed, so that replays under ever new names do not wear out flash */
    return state->phase == TF_PHASE_RECEIVING ? TF_NEEDS_BLOCKS : tf_transfer_reopen(agent);
}

int tf_offer_accept(struct tf_agent *agent, struct tf_view envelope, const struct tf_transfer *transfer, bool has_payload)
{
    struct tf_accepted accepted;
    struct tf_sha256 sha;
    uint8_t digest[TF_DIGEST_BYTES];
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, envelope.data, envelope.size);
    tf_sha256_final(&sha, digest);
    if (tf_same(digest, tf_state(agent)->envelope, sizeof digest)) {
        return repeat(agent, transfer, has_payload);
    }
    /* Until the restart after a failed trial, the failed pack runs: the free slot would be that of the confirmed one. */
    if (!tf_phase_allows(agent, TF_EVENT_ACTIVATED) || agent->work.job == TF_JOB_RESET) {
        return TF_ERR_BUSY;
    }
    int error = verify(agent, envelope, &accepted);
    if (error != TF_OK) {
        return error;
    }
    if (accepted.manifest.configure) {
        return configure(agent, &accepted, digest);
    }
    const uint8_t slot_id = find_pack(agent, &accepted.manifest);
    if (slot_id != TF_SLOT_NONE) {
        return activate(agent, &accepted, digest, slot_id);
    }
    return has_payload ? receive(agent, &accepted, digest, transfer) : TF_ERR_NO_PAYLOAD;
}
