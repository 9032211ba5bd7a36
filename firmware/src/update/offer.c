/* SPDX-License-Identifier: Apache-2.0 */
#include "update/offer.h"

#include <string.h>

#include "envelope/envelope.h"
#include "store/journal.h"
#include "model/model.h"
#include "update/phase.h"
#include "update/transfer.h"

static struct tf_state *state_of(struct tf_agent *agent)
{
    return &agent->journal.record.state;
}

/* Largest pack that an install may name: what fits a slot, or what the device was made with. */
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
        .sequence = state_of(agent)->sequence,
        .held = &state_of(agent)->held,
        .running = tf_agent_running(agent),
        .slot_bytes = largest_pack(agent),
        .now = agent->hal.unix_s != NULL ? agent->hal.unix_s(agent->hal.ctx) : 0,
    };
    return tf_envelope_verify(envelope, &trust, accepted);
}

/* What an accepted order changes whatever it asks for. The caller commits it together with the order itself. */
static void take(struct tf_state *state, const struct tf_accepted *accepted, const uint8_t digest[TF_DIGEST_BYTES], int8_t result)
{
    state->sequence = accepted->order.sequence;
    state->held = accepted->held;
    memcpy(state->order, digest, TF_DIGEST_BYTES);
    state->order_result = result;
}

static int configure(struct tf_agent *agent, const struct tf_accepted *accepted, const uint8_t digest[TF_DIGEST_BYTES])
{
    struct tf_state *state = state_of(agent);
    const struct tf_order *order = &accepted->order;
    int error = tf_model_takes(agent, order->values, order->value_count);
    if (error != TF_OK) {
        return error;
    }
    take(state, accepted, digest, TF_OK);
    memcpy(state->configured, order->digest, TF_DIGEST_BYTES);
    memset(state->parameters, 0, sizeof state->parameters);
    memcpy(state->parameters, order->values, order->value_count * sizeof order->values[0]);
    state->parameter_count = order->value_count;
    agent->work.report_due = true;
    error = tf_journal_commit(&agent->journal, &agent->hal);
    if (error == TF_OK) {
        tf_model_configure(agent);
    }
    return error;
}

/* The place where this very pack lies whole, or TF_PLACE_NONE. */
static uint8_t find_pack(struct tf_agent *agent, const struct tf_order *order)
{
    for (uint8_t place = TF_PLACE_A; place <= TF_PLACE_B; place++) {
        const struct tf_slot *slot = tf_slot_of(agent, place);
        if (slot->status >= TF_SLOT_WHOLE && slot->pack_bytes == order->size && tf_same(slot->digest, order->digest, TF_DIGEST_BYTES)) {
            return place;
        }
    }
    for (uint8_t i = 0; i < agent->identity.prebaked_count; i++) {
        const struct tf_prebaked *pack = &agent->identity.prebaked[i];
        if (pack->size == order->size && tf_same(pack->digest, order->digest, TF_DIGEST_BYTES)) {
            return (uint8_t)(TF_PLACE_PREBAKED + i);
        }
    }
    return TF_PLACE_NONE;
}

static void empty_receiving_slot(struct tf_state *state)
{
    for (int i = 0; i < 2; i++) {
        if (state->slot[i].status == TF_SLOT_RECEIVING) {
            state->slot[i].status = TF_SLOT_EMPTY;
        }
    }
}

/* The pack lies here: nothing but the envelope travels. */
static int activate(struct tf_agent *agent, const struct tf_accepted *accepted, const uint8_t digest[TF_DIGEST_BYTES], uint8_t place)
{
    struct tf_state *state = state_of(agent);
    const bool runs_already = place == state->confirmed && place == agent->running.place;
    int error = place < TF_PLACE_PREBAKED ? tf_envelope_keep(accepted, tf_slot_of(agent, place)) : TF_OK;
    if (error != TF_OK) {
        return error;
    }
    take(state, accepted, digest, runs_already ? TF_OK : TF_WORKING);
    if (runs_already) {
        return tf_journal_commit(&agent->journal, &agent->hal);
    }
    empty_receiving_slot(state);
    state->target = place;
    agent->work.job = TF_JOB_RESET;
    error = tf_phase_advance(agent, TF_EVENT_HELD);
    return error == TF_OK ? TF_WORKING : error;
}

/* Marks may only be erased while no record says `receiving`. */
static int clear_marks(struct tf_agent *agent)
{
    struct tf_state *state = state_of(agent);
    int error = TF_OK;
    agent->work.job = TF_JOB_NONE;
    agent->work.stage_error = TF_OK;
    if (state->phase == TF_PHASE_RECEIVING) {
        empty_receiving_slot(state);
        error = tf_phase_advance(agent, TF_EVENT_CLOSED);
    }
    return error == TF_OK ? tf_transfer_erase_marks(agent) : error;
}

static int open_target(struct tf_agent *agent, const struct tf_transfer *transfer)
{
    struct tf_state *state = state_of(agent);
    state->transfer = *transfer;
    tf_slot_of(agent, state->target)->status = TF_SLOT_RECEIVING;
    int error = tf_phase_advance(agent, TF_EVENT_OPENED);
    return error == TF_OK ? TF_END : error;
}

/* Open the transfer of the last accepted order, which has no blocks yet or lost them. */
int tf_order_reopen(struct tf_agent *agent, const struct tf_transfer *transfer)
{
    int error = clear_marks(agent);
    return error == TF_OK ? open_target(agent, transfer) : error;
}

/* Power goes once a start and tears one write, so one new beginning is enough, and flash that is worn out is spared. */
int tf_order_restart(struct tf_agent *agent)
{
    if (agent->work.restarted) {
        return TF_ERR_FLASH;
    }
    agent->work.restarted = true;
    return tf_order_reopen(agent, &state_of(agent)->transfer);
}

static bool same_payload(const struct tf_transfer *a, const struct tf_transfer *b)
{
    return a->encoding == b->encoding && a->block_bytes == b->block_bytes && a->payload_bytes == b->payload_bytes;
}

/* The open transfer is of the pack that this order names, in this very payload: its blocks are good for it too. */
static bool continues(struct tf_agent *agent, const struct tf_order *order, const struct tf_transfer *transfer)
{
    struct tf_state *state = state_of(agent);
    const struct tf_slot *slot = tf_slot_of(agent, state->target);
    return state->phase == TF_PHASE_RECEIVING && slot->pack_bytes == order->size &&
           tf_same(slot->digest, order->digest, TF_DIGEST_BYTES) && same_payload(&state->transfer, transfer);
}

static int carry_on(struct tf_agent *agent, const struct tf_accepted *accepted, const uint8_t digest[TF_DIGEST_BYTES], uint8_t name)
{
    struct tf_state *state = state_of(agent);
    int error = tf_envelope_keep(accepted, tf_slot_of(agent, state->target));
    if (error != TF_OK) {
        return error;
    }
    take(state, accepted, digest, TF_WORKING);
    state->transfer.name = name;
    error = tf_journal_commit(&agent->journal, &agent->hal);
    return error == TF_OK ? TF_END : error;
}

static int receive(struct tf_agent *agent, const struct tf_accepted *accepted, const uint8_t digest[TF_DIGEST_BYTES],
                   const struct tf_transfer *transfer)
{
    struct tf_state *state = state_of(agent);
    if (continues(agent, &accepted->order, transfer)) {
        return carry_on(agent, accepted, digest, transfer->name);
    }
    int error = tf_transfer_possible(agent, transfer, accepted->order.size);
    if (error == TF_OK) {
        error = clear_marks(agent);
    }
    if (error != TF_OK) {
        return error;
    }
    take(state, accepted, digest, TF_WORKING);
    state->target = agent->running.place == TF_PLACE_A || state->confirmed == TF_PLACE_A ? TF_PLACE_B : TF_PLACE_A;
    error = tf_envelope_keep(accepted, tf_slot_of(agent, state->target));
    return error == TF_OK ? open_target(agent, transfer) : error;
}

/* The envelope that was accepted last comes again, since an answer was lost or the device restarted. */
static int repeat(struct tf_agent *agent, const struct tf_transfer *transfer, bool has_payload)
{
    struct tf_state *state = state_of(agent);
    if (state->order_result != TF_WORKING || state->phase == TF_PHASE_STAGED || state->phase == TF_PHASE_TRIAL) {
        return state->order_result;
    }
    if (!has_payload) {
        return TF_ERR_NO_PAYLOAD;
    }
    if (state->phase != TF_PHASE_RECEIVING || !same_payload(&state->transfer, transfer)) {
        int error = tf_transfer_possible(agent, transfer, tf_slot_of(agent, state->target)->pack_bytes);
        return error == TF_OK ? tf_order_reopen(agent, transfer) : error;
    }
    /* In memory only: who repeats an old offer with ever other names shall not wear the flash. */
    state->transfer.name = transfer->name;
    return TF_END;
}

int tf_order_offer(struct tf_agent *agent, struct tf_view envelope, const struct tf_transfer *transfer, bool has_payload)
{
    struct tf_accepted accepted;
    struct tf_sha256 sha;
    uint8_t digest[TF_DIGEST_BYTES];
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, envelope.data, envelope.size);
    tf_sha256_final(&sha, digest);
    if (state_of(agent)->sequence != 0 && tf_same(digest, state_of(agent)->order, sizeof digest)) {
        return repeat(agent, transfer, has_payload);
    }
    if (!tf_phase_allows(agent, TF_EVENT_HELD)) {
        return TF_ERR_BUSY;
    }
    int error = verify(agent, envelope, &accepted);
    if (error != TF_OK) {
        return error;
    }
    if (accepted.order.configure) {
        return configure(agent, &accepted, digest);
    }
    const uint8_t place = find_pack(agent, &accepted.order);
    if (place != TF_PLACE_NONE) {
        return activate(agent, &accepted, digest, place);
    }
    return has_payload ? receive(agent, &accepted, digest, transfer) : TF_ERR_NO_PAYLOAD;
}
