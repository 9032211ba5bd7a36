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

/* Where an offset of the log is in flash. */
static uint32_t locate(const struct tf_sample_log *log, uint32_t offset)
{
    const uint32_t unit = offset / log->room % log->units;
    return log->region + unit * (log->room + HEAD_BYTES) + HEAD_BYTES + offset % log->room;
}

/* The base in the head of a unit, of which offset is a possible first byte; NO_BASE when the head is not valid. */
static uint32_t base_of(const struct tf_hal *hal, const struct tf_sample_log *log, uint32_t offset)
{
    struct head head;
    const uint32_t at = locate(log, offset);
    const bool valid = tf_flash_read(hal, at - HEAD_BYTES, &head, sizeof head) == TF_OK && head.magic == MAGIC &&
                       head.crc == tf_crc32(0, &head, offsetof(struct head, crc)) && locate(log, head.base) == at;
    return valid ? head.base : NO_BASE;
}

/* The bytes that the record at this offset takes, of those that are left in its unit; one step when there is none. */
static uint32_t step_at(const struct tf_hal *hal, uint32_t at, uint32_t offset, uint32_t left)
{
    struct {
        uint32_t length, crc;
        uint8_t next;
    } record;
    if (tf_flash_read(hal, at, &record, PREFIX_BYTES) != TF_OK || record.length - 1 >= left) { /* also a length of 0 */
        return TF_SAMPLE_STEP_BYTES;
    }
    const uint32_t expected = record.crc;
    record.crc = offset; /* so that a record is valid nowhere else */
    uint32_t crc = tf_crc32(0, &record, PREFIX_BYTES);
    for (uint32_t done = PREFIX_BYTES; done < record.length; done++) {
        if (tf_flash_read(hal, at + done, &record.next, 1) != TF_OK) {
            return TF_SAMPLE_STEP_BYTES;
        }
        crc = tf_crc32(crc, &record.next, 1);
    }
    return crc == expected ? tf_round_up(record.length, TF_SAMPLE_STEP_BYTES) : TF_SAMPLE_STEP_BYTES;
}

/* Find the end of what is written in the newest unit. A record may end in FF, so looking for the last other byte is not enough. */
static void find_end(const struct tf_hal *hal, struct tf_sample_log *log, uint32_t base)
{
    log->next = base;
    log->limit = base + log->room;
    for (uint32_t offset = base; offset != log->limit;) {
        const uint32_t at = locate(log, offset);
        if (tf_flash_blank(hal, at, TF_SAMPLE_STEP_BYTES)) {
            offset += TF_SAMPLE_STEP_BYTES;
        } else {
            offset += step_at(hal, at, offset, log->limit - offset);
            log->next = offset;
        }
        hal->watchdog_kick(hal->ctx);
    }
    log->end = log->next;
}

void tf_sample_log_open(const struct tf_hal *hal, struct tf_sample_log *log, const struct tf_region *region)
{
    uint32_t newest = NO_BASE;
    log->region = region->offset;
    log->units = region->size / hal->geometry.samples[0].erase_size;
    log->room = hal->geometry.samples[0].erase_size - HEAD_BYTES;
    log->first = log->end = log->next = log->limit = 0;
    for (uint32_t i = 0; i < log->units; i++) {
        const uint32_t base = base_of(hal, log, i * log->room);
        newest = base + 1 > newest + 1 ? base : newest; /* NO_BASE is less than any */
    }
    if (newest == NO_BASE) {
        return;
    }
    log->first = newest - (log->units - 1) * log->room; /* may be below zero, where no unit has its base */
    while (base_of(hal, log, log->first) != log->first) {
        log->first += log->room; /* its unit was being erased when the power was cut */
    }
    find_end(hal, log, newest);
}

/* Erase the unit of this base, with what it held, and give it its head. */
static int open_unit(const struct tf_hal *hal, struct tf_sample_log *log, uint32_t base)
{
    const uint32_t at = locate(log, base) - HEAD_BYTES;
    struct head head = {.magic = MAGIC, .base = base};
    head.crc = tf_crc32(0, &head, offsetof(struct head, crc));
    if (base - log->first == log->units * log->room) {
        log->first += log->room;
    }
    int error = tf_flash_erase(hal, at, hal->geometry.samples[0].erase_size);
    return error == TF_OK ? tf_flash_write_padded(hal, at, (const uint8_t *)&head, sizeof head) : error;
}

static int write_record(const struct tf_hal *hal, const struct tf_sample_log *log, uint32_t offset, struct tf_sample_head *head,
                        uint32_t head_bytes, struct tf_view window)
{
    const uint32_t at = locate(log, offset);
    head->crc = offset;
    head->crc = tf_crc32(tf_crc32(0, head, head_bytes), window.data, window.size);
    int error = tf_flash_write(hal, at, head, head_bytes);
    return error == TF_OK ? tf_flash_write_padded(hal, at + head_bytes, window.data, (uint32_t)window.size) : error;
}

int tf_sample_log_append(const struct tf_hal *hal, struct tf_sample_log *log, struct tf_sample_head *head, uint32_t head_bytes,
                         struct tf_view window)
{
    head->length = head_bytes + (uint32_t)window.size;
    const uint32_t taken = tf_round_up(head->length, TF_SAMPLE_STEP_BYTES);
    int error = TF_ERR_FLASH;
    for (int attempt = 0; attempt < APPENDS_MAX && error != TF_OK; attempt++) {
        error = TF_OK;
        if (log->limit - log->next < taken) {
            if (log->limit > UINT32_MAX - 2 * log->room) {
                return TF_ERR_CAPACITY;
            }
            log->next = log->limit;
            log->limit += log->room;
            error = open_unit(hal, log, log->next);
        }
        if (error == TF_OK) {
            error = write_record(hal, log, log->next, head, head_bytes, window);
        }
        if (error == TF_OK) {
            log->next += taken;
            log->end = log->next;
        } else {
            log->next = log->limit; /* the rest of this unit refuses writes */
        }
    }
    return error;
}

void tf_sample_log_read(const struct tf_hal *hal, const struct tf_sample_log *log, uint32_t from, uint8_t *buffer, uint32_t length)
{
    hal->watchdog_kick(hal->ctx);
    for (uint32_t i = 0; i < length; i++) {
        if (tf_flash_read(hal, locate(log, from + i), &buffer[i], 1) != TF_OK) {
            buffer[i] = 0xff;
        }
    }
}

void tf_sample_log_plain(struct tf_sample_log *log, const struct tf_region *region)
{
    log->region = region->offset - HEAD_BYTES;
    log->units = region->size != 0;
    log->room = region->size;
}
