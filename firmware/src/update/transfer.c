/* SPDX-License-Identifier: Apache-2.0 */
#include "update/transfer.h"

#include <string.h>

#include "store/flash.h"
#include "update/repair.h"
#include "payload/decoder.h"

#define BLOCK_MULTIPLE 16

static const struct tf_state *state_of(const struct tf_agent *agent)
{
    return &agent->journal.record.state;
}

struct tf_slot *tf_slot_of(struct tf_agent *agent, uint8_t place)
{
    return &agent->journal.record.state.slot[place == TF_PLACE_B];
}

uint32_t tf_slot_offset(const struct tf_agent *agent, uint8_t place)
{
    return agent->hal.geometry.slot[place == TF_PLACE_B].offset;
}

static uint32_t units_per_slot(const struct tf_agent *agent)
{
    return agent->hal.geometry.slot[0].size / agent->hal.geometry.erase_size;
}

static uint32_t blocks_of(const struct tf_transfer *transfer)
{
    return transfer->payload_bytes / transfer->block_bytes + (transfer->payload_bytes % transfer->block_bytes != 0);
}

uint32_t tf_transfer_blocks(const struct tf_agent *agent)
{
    return blocks_of(&state_of(agent)->transfer);
}

static int check_sizes(const struct tf_agent *agent, const struct tf_transfer *transfer, uint32_t pack_bytes)
{
    const struct tf_geometry *geometry = &agent->hal.geometry;
    const uint32_t slot = geometry->slot[0].size;
    if (transfer->payload_bytes == 0 || transfer->payload_bytes > slot || pack_bytes > slot) {
        return TF_ERR_TOO_LARGE;
    }
    if (transfer->encoding == TF_ENCODING_RAW) {
        return transfer->payload_bytes == pack_bytes ? TF_OK : TF_ERR_ENCODING;
    }
    /* Decoded side by side: the pack at the slot's start, the payload at its end. */
    const uint32_t payload = tf_round_up(transfer->payload_bytes, geometry->erase_size);
    return tf_round_up(pack_bytes, geometry->erase_size) <= slot - payload ? TF_OK : TF_ERR_TOO_LARGE;
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
    const uint32_t blocks = blocks_of(transfer);
    return blocks <= TF_BLOCKS_MAX && units_per_slot(agent) + blocks <= marks ? TF_OK : TF_ERR_BLOCK_SIZE;
}

int tf_transfer_erase_marks(struct tf_agent *agent)
{
    const struct tf_region *marks = &agent->hal.geometry.marks;
    memset(&agent->work.corrected, 0, sizeof agent->work.corrected);
    memset(&agent->work.forgotten, 0, sizeof agent->work.forgotten);
    return tf_flash_erase(&agent->hal, marks->offset, marks->size);
}

uint32_t tf_transfer_payload_offset(const struct tf_agent *agent)
{
    const struct tf_state *state = state_of(agent);
    const uint32_t slot = tf_slot_offset(agent, state->target);
    if (state->transfer.encoding == TF_ENCODING_RAW) {
        return slot;
    }
    return slot + agent->hal.geometry.slot[0].size - tf_round_up(state->transfer.payload_bytes, agent->hal.geometry.erase_size);
}

/* ------------------------------------------------------------------ marks */

static bool is_marked(const struct tf_agent *agent, uint32_t mark)
{
    const uint32_t unit = agent->hal.geometry.write_size;
    return !tf_flash_blank(&agent->hal, agent->hal.geometry.marks.offset + mark * unit, unit);
}

static int set_mark(const struct tf_agent *agent, uint32_t mark)
{
    static const uint8_t zeros[TF_WRITE_SIZE_MAX] = {0};
    const uint32_t unit = agent->hal.geometry.write_size;
    if (is_marked(agent, mark)) {
        return TF_OK; /* a forgotten block that was sent again */
    }
    return tf_flash_write(&agent->hal, agent->hal.geometry.marks.offset + mark * unit, zeros, unit);
}

static int position_in(const struct tf_block_list *list, uint32_t index)
{
    for (int i = 0; i < list->count; i++) {
        if (list->index[i] == index) {
            return i;
        }
    }
    return -1;
}

static void list_add(struct tf_block_list *list, uint32_t index)
{
    if (position_in(list, index) >= 0) {
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
    int at = position_in(list, index);
    if (at >= 0) {
        list->index[at] = list->index[--list->count];
    }
}

bool tf_transfer_held(const struct tf_agent *agent, uint32_t index)
{
    return is_marked(agent, units_per_slot(agent) + index) && position_in(&agent->work.forgotten, index) < 0;
}

uint32_t tf_transfer_first(const struct tf_agent *agent)
{
    const uint32_t blocks = tf_transfer_blocks(agent);
    uint32_t first = 0;
    while (first < blocks && tf_transfer_held(agent, first)) {
        first++;
    }
    return first;
}

int tf_transfer_forget_corrected(struct tf_agent *agent)
{
    struct tf_work *work = &agent->work;
    if (work->corrected.count == 0 || work->corrected.overflowed) {
        return TF_END;
    }
    work->forgotten = work->corrected;
    memset(&work->corrected, 0, sizeof work->corrected);
    return TF_OK;
}

/* ------------------------------------------------------------------ blocks */

/* The erase units of the slot that a range of flash touches. */
struct units {
    uint32_t first;
    uint32_t last;
};

static struct units units_of(const struct tf_agent *agent, uint32_t offset, uint32_t length)
{
    const uint32_t slot = tf_slot_offset(agent, state_of(agent)->target);
    const uint32_t erase_size = agent->hal.geometry.erase_size;
    return (struct units){(offset - slot) / erase_size, (offset + length - 1 - slot) / erase_size};
}

static int on_each(struct tf_agent *agent, struct units units, int (*step)(struct tf_agent *, uint32_t unit))
{
    int error = TF_OK;
    for (uint32_t unit = units.first; unit <= units.last && error == TF_OK; unit++) {
        error = step(agent, unit);
    }
    return error;
}

/* An erase unit is erased once for a transfer, just before its first block. */
static int prepare(struct tf_agent *agent, uint32_t unit)
{
    if (is_marked(agent, unit)) {
        return TF_OK;
    }
    const uint32_t erase_size = agent->hal.geometry.erase_size;
    int error = tf_flash_erase(&agent->hal, tf_slot_offset(agent, state_of(agent)->target) + unit * erase_size, erase_size);
    return error == TF_OK ? set_mark(agent, unit) : error;
}

/* What is torn, or a forgotten block, is mended first. Some flash tells by refusing a write that its place, which reads FF, is torn. */
static int write_block(struct tf_agent *agent, uint32_t offset, struct tf_view bytes)
{
    const uint32_t length = (uint32_t)bytes.size;
    const struct units units = units_of(agent, offset, length);
    int error = on_each(agent, units, prepare);
    if (error != TF_OK) {
        return error;
    }
    if (tf_flash_blank(&agent->hal, offset, tf_round_up(length, agent->hal.geometry.write_size)) &&
        tf_flash_write_padded(&agent->hal, offset, bytes.data, length) == TF_OK) {
        return TF_OK;
    }
    error = on_each(agent, units, tf_mend);
    return error == TF_OK ? tf_flash_write_padded(&agent->hal, offset, bytes.data, length) : error;
}

int tf_transfer_block(struct tf_agent *agent, uint32_t index, struct tf_view bytes, bool corrected)
{
    const struct tf_transfer *transfer = &state_of(agent)->transfer;
    if (index >= tf_transfer_blocks(agent)) {
        return TF_ERR_MESSAGE;
    }
    const uint32_t at = index * transfer->block_bytes;
    const uint32_t left = transfer->payload_bytes - at;
    if (bytes.size != (left < transfer->block_bytes ? left : transfer->block_bytes)) {
        return TF_ERR_MESSAGE;
    }
    if (tf_transfer_held(agent, index)) {
        return TF_OK;
    }
    int error = write_block(agent, tf_transfer_payload_offset(agent) + at, bytes);
    if (error == TF_OK) {
        error = set_mark(agent, units_per_slot(agent) + index);
    }
    if (error != TF_OK) {
        return error;
    }
    list_remove(&agent->work.forgotten, index);
    if (corrected) {
        list_add(&agent->work.corrected, index);
    }
    return TF_OK;
}
