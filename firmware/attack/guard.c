/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include <string.h>

#include "store/blocks.h"
#include "tinyfleet/crc32.h"

#define SNAPSHOT 0x324a4654u /* docs/specs/flash.md, section 2 */
#define TICK 0x31544654u
#define TICK_BYTES 32u
#define TICK_CRC_AT 8u
#define RECORD_CRC_AT 992u
#define RECORDS 5 /* of a transfer that opens and ends; docs/specs/protocol.md, section 1 */

static bool contains(const struct tf_region *region, uint32_t offset, size_t length)
{
    return offset >= region->offset && offset - region->offset <= region->size && length <= region->size - (offset - region->offset);
}

/* ------------------------------------------------------------------ the journal */

static bool is_record(const uint8_t *data, size_t length)
{
    const uint32_t magic = tf_load32(data);
    const uint32_t covered = magic == TICK ? TICK_CRC_AT : RECORD_CRC_AT;
    return ((magic == TICK && length == TICK_BYTES) || (magic == SNAPSHOT && length == TF_RECORD_BYTES)) &&
           tf_load32(data + covered) == tf_crc32(0, data, covered);
}

/* The serial of the newest snapshot in a sector, or 0. */
static uint32_t newest(const struct simulation *sim, const struct tf_region *sector)
{
    uint32_t serial = 0;
    for (uint32_t at = 0; at + TF_RECORD_BYTES <= sector->size; at += TICK_BYTES) {
        const uint8_t *bytes = sim->bytes + sector->offset + at;
        if (tf_load32(bytes) == SNAPSHOT && is_record(bytes, TF_RECORD_BYTES) && tf_load32(bytes + 4) > serial) {
            serial = tf_load32(bytes + 4);
        }
    }
    return serial;
}

static const char *check_journal(const struct simulation *sim, uint32_t offset, const uint8_t *data, size_t length, size_t sector)
{
    const struct tf_region *journal = sim->script->geometry.journal;
    if (data != NULL) {
        return is_record(data, length) ? NULL : "something else than a record is written to the journal";
    }
    if (offset != journal[sector].offset || length != journal[sector].size) {
        return "a part of a journal sector is erased";
    }
    const uint32_t kept = newest(sim, &journal[sector ^ 1]);
    return kept != 0 && kept < newest(sim, &journal[sector]) ? "the newest state is erased" : NULL;
}

/* ------------------------------------------------------------------ marks, scratch, slots */

static const char *check_marks(const struct simulation *sim, uint32_t offset, const uint8_t *data, size_t length)
{
    (void)offset;
    for (size_t i = 0; data != NULL && i < length; i++) {
        if (data[i] != 0 || length != sim->script->geometry.write_size) {
            return "something else than a mark is written to the marks";
        }
    }
    return NULL;
}

/* Scratch takes copies of the held blocks of a unit, at the places that they have there. */
static const char *check_scratch(const struct simulation *sim, uint32_t offset, const uint8_t *data, size_t length)
{
    const struct tf_geometry *geometry = &sim->script->geometry;
    const uint32_t slot = geometry->slot[sim->agent.journal.record.state.target == TF_SLOT_B].offset;
    if (data == NULL) {
        return NULL;
    }
    for (uint32_t unit = 0; unit < geometry->slot[0].size; unit += geometry->slot[0].erase_size) {
        if (memcmp(sim->bytes + slot + unit + (offset - geometry->scratch.offset), data, length) == 0) {
            return NULL;
        }
    }
    return "something else than a copy is written to scratch";
}

static const char *check_slot(const struct guard *guard, const struct simulation *sim, const struct tf_region *slot, uint8_t slot_id)
{
    const struct tf_state *state = &sim->agent.journal.record.state;
    if (guard->running == slot->offset) {
        return "the slot of the running model is changed";
    }
    if (guard->confirmed == slot_id && state->confirmed == slot_id) {
        return "the slot of the confirmed model is changed";
    }
    return state->phase == TF_PHASE_RECEIVING && state->target == slot_id ? NULL : "a slot is changed that receives nothing";
}

static const char *check(const struct guard *guard, const struct simulation *sim, uint32_t offset, const uint8_t *data, size_t length)
{
    const struct tf_geometry *geometry = &sim->script->geometry;
    for (size_t i = 0; i < 2; i++) {
        if (contains(&geometry->journal[i], offset, length)) {
            return check_journal(sim, offset, data, length, i);
        }
        if (contains(&geometry->slot[i], offset, length)) {
            return check_slot(guard, sim, &geometry->slot[i], i == 0 ? TF_SLOT_A : TF_SLOT_B);
        }
    }
    if (contains(&geometry->marks, offset, length)) {
        return check_marks(sim, offset, data, length);
    }
    if (contains(&geometry->scratch, offset, length)) {
        return check_scratch(sim, offset, data, length);
    }
    return "flash is changed that is not the agent's, or beyond a region";
}

/* ------------------------------------------------------------------ wear */

/*
 * How many of the smallest units an accepted envelope may erase (docs/specs/protocol.md, section 1), and each start after it once more. The
 * next envelope erases the marks, and closes its transfer, before it counts as accepted.
 */
static uint32_t bound(const struct simulation *sim)
{
    const struct tf_geometry *geometry = &sim->script->geometry;
    const struct tf_transfer *transfer = &sim->agent.journal.record.state.transfer;
    const uint32_t sector = geometry->journal[0].size;
    const uint32_t blocks = transfer->block_bytes != 0 ? tf_blocks_of(transfer) : 0;
    const uint32_t corrected = blocks < TF_CORRECTED_MAX ? blocks : TF_CORRECTED_MAX;
    const uint32_t large = geometry->slot[0].erase_size;
    const uint32_t repairs = corrected * (transfer->block_bytes / large + 2);
    const uint32_t records = RECORDS + 2 * repairs;
    const uint32_t bytes = 2 * geometry->marks.size + 2 * geometry->slot[0].size + (records / (sector / TF_RECORD_BYTES) + 2) * sector;
    return bytes / geometry->erase_size + 2 * repairs * (large / geometry->erase_size);
}

/* A new envelope pays for itself. */
static void begin_envelope(struct guard *guard, const struct simulation *sim)
{
    const uint32_t sequence = sim->agent.journal.record.state.sequence;
    if (sequence == guard->sequence) {
        return;
    }
    if (guard->starts == 0 && guard->erased > guard->erased_max) {
        guard->erased_max = guard->erased;
    }
    guard->sequence = sequence;
    guard->erased = guard->starts = 0;
}

void guard_operation(struct guard *guard, const struct simulation *sim, uint32_t offset, const uint8_t *data, size_t length)
{
    const char *breach = check(guard, sim, offset, data, length);
    begin_envelope(guard, sim);
    guard->erased += data == NULL ? (uint32_t)length / sim->script->geometry.erase_size : 0;
    if (breach == NULL && guard->erased > bound(sim) * (guard->starts + 1)) {
        breach = "an envelope erases more than it may";
    }
    guard->breach = guard->breach != NULL ? guard->breach : breach;
}

void guard_note(struct guard *guard, const struct simulation *sim)
{
    const struct tf_state *state = &sim->agent.journal.record.state;
    if (state->phase == TF_PHASE_RECEIVING && state->target == state->confirmed && guard->breach == NULL) {
        guard->breach = "a transfer goes into the slot of the confirmed model";
    }
    guard->running = sim->agent.running.offset;
    guard->confirmed = state->confirmed;
    begin_envelope(guard, sim);
}

void guard_start(struct guard *guard)
{
    guard->starts++;
}
