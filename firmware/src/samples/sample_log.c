/* SPDX-License-Identifier: Apache-2.0 */
#include "samples/sample_log.h"

#include <stddef.h>

#include "store/flash.h"
#include "tinyfleet/crc32.h"

#define MAGIC 0x31534654u /* "TFS1" */
#define HEAD_BYTES TF_WRITE_SIZE_MAX
#define PREFIX_BYTES offsetof(struct tf_sample_head, boots)
#define NO_BASE UINT32_MAX
#define APPENDS_MAX 2 /* when flash refuses a record, one more attempt in a new unit */

_Static_assert(TF_SAMPLE_STEP_BYTES % TF_WRITE_SIZE_MAX == 0, "a record starts at a write unit");

/* The start of each erase unit. */
struct head {
    uint32_t magic;
    uint32_t base; /* offset in the log of the first byte after the head */
    uint32_t crc;
};

/* The erase unit of an offset. */
static uint32_t unit_of(const struct tf_sample_log *log, uint32_t offset)
{
    return offset / log->room % log->units;
}

/* Where an offset of the log is in flash. */
static uint32_t locate(const struct tf_hal *hal, const struct tf_sample_log *log, uint32_t offset)
{
    return log->region + unit_of(log, offset) * hal->geometry.samples[0].erase_size + HEAD_BYTES + offset % log->room;
}

/* The base in the head of a unit, or NO_BASE when the head is not valid. */
static uint32_t base_of(const struct tf_hal *hal, const struct tf_sample_log *log, uint32_t unit)
{
    struct head head;
    const bool valid = tf_flash_read(hal, log->region + unit * hal->geometry.samples[0].erase_size, &head, sizeof head) == TF_OK && head.magic == MAGIC &&
                       head.crc == tf_crc32(0, &head, offsetof(struct head, crc)) && unit_of(log, head.base) == unit;
    return valid ? head.base : NO_BASE;
}

/* A unit with this base leaves no room for what is a whole round older. */
static void drop_before(struct tf_sample_log *log, uint32_t base)
{
    const uint32_t others = (log->units - 1) * log->room;
    if (base > others && log->first < base - others) {
        log->first = base - others;
    }
}

/* The bytes that the record at this offset takes, or 0 when there is none. */
static uint32_t record_at(const struct tf_hal *hal, const struct tf_sample_log *log, uint32_t offset)
{
    const uint32_t at = locate(hal, log, offset);
    struct tf_sample_head head;
    uint8_t byte;
    if (tf_flash_read(hal, at, &head, PREFIX_BYTES) != TF_OK || head.length < PREFIX_BYTES || head.length > log->room - offset % log->room) {
        return 0;
    }
    const uint32_t expected = head.crc;
    head.crc = offset; /* so that a record is valid nowhere else */
    uint32_t crc = tf_crc32(0, &head, PREFIX_BYTES);
    for (uint32_t done = PREFIX_BYTES; done < head.length; done++) {
        if (tf_flash_read(hal, at + done, &byte, 1) != TF_OK) {
            return 0;
        }
        crc = tf_crc32(crc, &byte, 1);
    }
    return crc == expected ? tf_round_up(head.length, TF_SAMPLE_STEP_BYTES) : 0;
}

/* The end of what is written in the newest unit. A record may end in FF, so looking for the last other byte is not enough. */
static uint32_t find_end(const struct tf_hal *hal, const struct tf_sample_log *log, uint32_t base)
{
    uint32_t end = base;
    for (uint32_t at = base; at - base < log->room;) {
        const uint32_t record = record_at(hal, log, at);
        const uint32_t step = record != 0 ? record : TF_SAMPLE_STEP_BYTES;
        if (record != 0 || !tf_flash_blank(hal, locate(hal, log, at), step)) {
            end = at + step;
        }
        at += step;
        hal->watchdog_kick(hal->ctx);
    }
    return end;
}

void tf_sample_log_open(const struct tf_hal *hal, struct tf_sample_log *log, const struct tf_region *region)
{
    uint32_t newest = NO_BASE;
    log->region = region->offset;
    log->units = region->size / hal->geometry.samples[0].erase_size;
    log->room = hal->geometry.samples[0].erase_size - HEAD_BYTES;
    log->first = log->end = log->next = 0;
    for (uint32_t i = 0; i < log->units; i++) {
        const uint32_t base = base_of(hal, log, i);
        newest = base != NO_BASE && (newest == NO_BASE || base > newest) ? base : newest;
    }
    if (newest == NO_BASE) {
        return;
    }
    drop_before(log, newest);
    while (base_of(hal, log, unit_of(log, log->first)) != log->first) {
        log->first += log->room; /* its unit was being erased when the power was cut */
    }
    log->end = find_end(hal, log, newest);
    log->next = log->end;
}

/* Erase the unit of this base, with what it held, and give it its head. */
static int open_unit(const struct tf_hal *hal, struct tf_sample_log *log, uint32_t base)
{
    const uint32_t at = locate(hal, log, base) - HEAD_BYTES;
    struct head head = {.magic = MAGIC, .base = base};
    head.crc = tf_crc32(0, &head, offsetof(struct head, crc));
    drop_before(log, base);
    int error = tf_flash_erase(hal, at, hal->geometry.samples[0].erase_size);
    return error == TF_OK ? tf_flash_write_padded(hal, at, (const uint8_t *)&head, sizeof head) : error;
}

static int write_record(const struct tf_hal *hal, const struct tf_sample_log *log, uint32_t offset, struct tf_sample_head *head,
                        uint32_t head_bytes, struct tf_view window)
{
    const uint32_t at = locate(hal, log, offset);
    head->crc = offset;
    head->crc = tf_crc32(tf_crc32(0, head, head_bytes), window.data, window.size);
    int error = tf_flash_write(hal, at, head, head_bytes);
    return error == TF_OK ? tf_flash_write_padded(hal, at + head_bytes, window.data, (uint32_t)window.size) : error;
}

/* The offset of the next record: in this unit if it fits, else at the start of the next one. */
static uint32_t next_offset(const struct tf_sample_log *log, uint32_t taken)
{
    const uint32_t used = log->next % log->room;
    return used == 0 || log->room - used >= taken ? log->next : log->next - used + log->room;
}

int tf_sample_log_append(const struct tf_hal *hal, struct tf_sample_log *log, struct tf_sample_head *head, uint32_t head_bytes,
                         struct tf_view window)
{
    head->length = head_bytes + (uint32_t)window.size;
    const uint32_t taken = tf_round_up(head->length, TF_SAMPLE_STEP_BYTES);
    int error = TF_ERR_FLASH;
    for (int attempt = 0; attempt < APPENDS_MAX && error != TF_OK; attempt++) {
        const uint32_t at = next_offset(log, taken);
        if (at > UINT32_MAX - 2 * log->room) {
            return TF_ERR_CAPACITY;
        }
        /* A unit that has its head is not erased again: `end` may have been reported, and must not go back. */
        error = at % log->room == 0 && base_of(hal, log, unit_of(log, at)) != at ? open_unit(hal, log, at) : TF_OK;
        if (error == TF_OK) {
            error = write_record(hal, log, at, head, head_bytes, window);
        }
        log->end = error == TF_OK ? at + taken : log->end;
        log->next = error == TF_OK ? log->end : at - at % log->room + log->room; /* the rest of this unit refuses writes */
    }
    return error;
}

uint32_t tf_sample_log_span(const struct tf_hal *hal, const struct tf_sample_log *log, uint32_t from, uint32_t to, uint32_t *offset)
{
    const uint32_t left = log->room - from % log->room;
    *offset = locate(hal, log, from);
    return to - from < left ? to - from : left;
}
