/* SPDX-License-Identifier: Apache-2.0 */
#include "update/transfer.h"

#include <string.h>

#include "store/blocks.h"
#include "store/flash.h"
#include "update/phase.h"
#include "update/repair.h"

#define BLOCK_MULTIPLE 16

/* ------------------------------------------------------------------ opening */

static int check_sizes(const struct tf_agent *agent, const struct tf_transfer *transfer, uint32_t pack_bytes)
{
    const struct tf_geometry *geometry = &agent->hal.geometry;
    const uint32_t slot = geometry->slot[0].size;
    if (transfer->payload_bytes == 0 || transfer->payload_bytes > slot) {
        return TF_ERR_TOO_LARGE;
    }
    if (transfer->encoding == TF_ENCODING_RAW) {
        return transfer->payload_bytes == pack_bytes ? TF_OK : TF_ERR_ENCODING;
    }
    /* Both must fit during decoding: the pack at the start of the slot, the payload at its end. */
    const uint32_t payload = tf_round_up(transfer->payload_bytes, geometry->slot[0].erase_size);
    return tf_round_up(pack_bytes, geometry->slot[0].erase_size) <= slot - payload ? TF_OK : TF_ERR_TOO_LARGE;
}

int tf_transfer_possible(const struct tf_agent *agent, const struct tf_transfer *transfer, uint32_t pack_bytes)
{
    const struct tf_geometry *geometry = &agent->hal.geometry;
    if (geometry->slot[0].size == 0) {
        return TF_ERR_NO_UPDATES;
    }
    if (transfer->encoding > TF_ENCODING_PATCH) {
        return TF_ERR_ENCODING;
    }
    if (transfer->block_bytes == 0 || transfer->block_bytes > TF_BLOCK_MAX || transfer->block_bytes % BLOCK_MULTIPLE != 0 ||
        transfer->block_bytes % geometry->write_size != 0) {
        return TF_ERR_BLOCK_SIZE;
    }
    int error = check_sizes(agent, transfer, pack_bytes);
    if (error != TF_OK) {
        return error;
    }
    const uint32_t marks = geometry->marks.size / geometry->write_size;
    const uint32_t blocks = tf_blocks_of(transfer);
    return blocks <= TF_BLOCKS_MAX && tf_units_per_slot(agent) + blocks <= marks ? TF_OK : TF_ERR_BLOCK_SIZE;
}

void tf_transfer_empty_receiving(struct tf_state *state)
{
    for (int i = 0; i < 2; i++) {
        if (state->slot[i].status == TF_STATUS_RECEIVING) {
            state->slot[i].status = TF_STATUS_EMPTY;
        }
    }
}

static int erase_marks(struct tf_agent *agent)
{
    const struct tf_region *marks = &agent->hal.geometry.marks;
    memset(&agent->work.corrected, 0, sizeof agent->work.corrected);
    memset(&agent->work.discarded, 0, sizeof agent->work.discarded);
    agent->work.resent = false;
    return tf_flash_erase(&agent->hal, marks->offset, marks->size);
}

int tf_transfer_close(struct tf_agent *agent)
{
    agent->work.job = TF_JOB_NONE;
    tf_state(agent)->repairing = 0; /* else the next start would repair another transfer with these blocks */
    tf_transfer_empty_receiving(tf_state(agent));
    return tf_phase_advance(agent, TF_EVENT_ABANDONED);
}

/* The marks may only be erased while no record in force says `receiving`: a torn erase leaves them in any state. */
int tf_transfer_clear(struct tf_agent *agent)
{
    int error = tf_phase_allows(agent, TF_EVENT_ABANDONED) ? tf_transfer_close(agent) : TF_OK;
    return error == TF_OK ? erase_marks(agent) : error;
}

int tf_transfer_open(struct tf_agent *agent, const struct tf_transfer *transfer)
{
    struct tf_state *state = tf_state(agent);
    state->transfer = *transfer;
    tf_slot_of(agent, state->target)->status = TF_STATUS_RECEIVING;
    int error = tf_phase_advance(agent, TF_EVENT_OPENED);
    return error == TF_OK ? TF_NEEDS_BLOCKS : error;
}

int tf_transfer_reopen(struct tf_agent *agent)
{
    int error = tf_transfer_clear(agent);
    return error == TF_OK ? tf_transfer_open(agent, &tf_state(agent)->transfer) : error;
}

/* Power loss happens once per start and tears one write, so one restart is enough. More would only wear bad flash. */
int tf_transfer_restart(struct tf_agent *agent)
{
    if (agent->work.restarted) {
        return TF_ERR_FLASH;
    }
    agent->work.restarted = true;
    return tf_transfer_reopen(agent);
}

/* ------------------------------------------------------------------ lists of blocks */

static void list_add(struct tf_block_list *list, uint32_t index)
{
    if (tf_block_list_find(list, index) >= 0) {
        return;
    }
    if (list->count == TF_CORRECTED_MAX) {
        list->overflowed = true;
        return;
    }
    list->index[list->count++] = (uint16_t)index;
}

static void list_remove(struct tf_block_list *list, uint32_t index)
{
    int at = tf_block_list_find(list, index);
    if (at >= 0) {
        list->index[at] = list->index[--list->count];
    }
}

bool tf_transfer_discard_corrected(struct tf_agent *agent)
{
    struct tf_work *work = &agent->work;
    if (work->resent || work->corrected.count == 0 || work->corrected.overflowed) {
        return false;
    }
    work->resent = true;
    work->discarded = work->corrected;
    memset(&work->corrected, 0, sizeof work->corrected);
    return true;
}

/* ------------------------------------------------------------------ blocks */

static int set_mark(const struct tf_agent *agent, uint32_t mark)
{
    static const uint8_t zeros[TF_WRITE_SIZE_MAX] = {0};
    if (tf_mark_is_set(agent, mark)) {
        return TF_OK; /* a discarded block that was sent again */
    }
    return tf_flash_write(&agent->hal, tf_mark_offset(agent, mark), zeros, agent->hal.geometry.write_size);
}

/* The erase units of the slot that a range of flash touches. */
struct units {
    uint32_t first;
    uint32_t last;
};

static struct units units_of(const struct tf_agent *agent, uint32_t offset, uint32_t length)
{
    const uint32_t slot = tf_slot_offset(agent, tf_state_view(agent)->target);
    const uint32_t erase_size = agent->hal.geometry.slot[0].erase_size;
    return (struct units){(offset - slot) / erase_size, (offset + length - 1 - slot) / erase_size};
}

static int for_each_unit(struct tf_agent *agent, struct units units, int (*step)(struct tf_agent *, uint32_t unit))
{
    int error = TF_OK;
    for (uint32_t unit = units.first; unit <= units.last && error == TF_OK; unit++) {
        error = step(agent, unit);
    }
    return error;
}

/* A transfer erases each erase unit once, just before its first block. */
static int prepare(struct tf_agent *agent, uint32_t unit)
{
    if (tf_mark_is_set(agent, unit)) {
        return TF_OK;
    }
    const uint32_t erase_size = agent->hal.geometry.slot[0].erase_size;
    int error = tf_flash_erase(&agent->hal, tf_slot_offset(agent, tf_state(agent)->target) + unit * erase_size, erase_size);
    return error == TF_OK ? set_mark(agent, unit) : error;
}

/*
 * Write to blank flash. A range that is not blank (torn, or a discarded block) is repaired first, and so is one that
 * reads FF but refuses the write: on some flash that is the only sign of a torn write.
 */
static int write_block(struct tf_agent *agent, uint32_t offset, struct tf_view bytes)
{
    const uint32_t length = (uint32_t)bytes.size;
    const struct units units = units_of(agent, offset, length);
    int error = for_each_unit(agent, units, prepare);
    if (error != TF_OK) {
        return error;
    }
    if (tf_flash_blank(&agent->hal, offset, tf_round_up(length, agent->hal.geometry.write_size)) &&
        tf_flash_write_padded(&agent->hal, offset, bytes.data, length) == TF_OK) {
        return TF_OK;
    }
    error = for_each_unit(agent, units, tf_repair_unit);
    return error == TF_OK ? tf_flash_write_padded(&agent->hal, offset, bytes.data, length) : error;
}

int tf_transfer_write_block(struct tf_agent *agent, uint32_t index, struct tf_view bytes, bool corrected)
{
    const struct tf_transfer *transfer = &tf_state(agent)->transfer;
    if (index >= tf_blocks_count(agent)) {
        return TF_ERR_MESSAGE;
    }
    const uint32_t at = index * transfer->block_bytes;
    const uint32_t left = transfer->payload_bytes - at;
    if (bytes.size != (left < transfer->block_bytes ? left : transfer->block_bytes)) {
        return TF_ERR_MESSAGE;
    }
    if (tf_block_held(agent, index)) {
        return TF_OK;
    }
    /* The mark comes last: it must never be set for a block that is not in flash. */
    int error = write_block(agent, tf_blocks_payload_offset(agent) + at, bytes);
    if (error == TF_OK) {
        error = set_mark(agent, tf_units_per_slot(agent) + index);
    }
    if (error != TF_OK) {
        return error;
    }
    list_remove(&agent->work.discarded, index);
    if (corrected) {
        list_add(&agent->work.corrected, index);
    }
    return TF_OK;
}
