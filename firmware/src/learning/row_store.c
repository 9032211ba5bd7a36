/* SPDX-License-Identifier: Apache-2.0 */
#include "learning/row_store.h"

#include <string.h>

#include "tinyfleet/crc32.h"

#define MAGIC 0x31524654u /* "TFR1" */
#define DIGEST_BYTES 16
#define CHECK_BYTES 4
#define CHECK_START 0x811c9dc5u
#define CHECK_PRIME 0x01000193u

struct head {
    uint32_t magic;
    uint32_t generation;
    uint8_t digest[DIGEST_BYTES];
    uint32_t zero;
    uint32_t crc;
};

_Static_assert(sizeof(struct head) == TF_WRITE_SIZE_MAX, "whole write units of every size");

struct tf_rows tf_rows_view(const struct tf_hal *hal, uint32_t features, uint32_t bytes)
{
    const struct tf_region *region = &hal->geometry.rows;
    const uint32_t stride = tf_round_up(2 * features + CHECK_BYTES, hal->geometry.write_size);
    return (struct tf_rows){
        .slot = hal->flash_map(hal->ctx, region->offset, region->size) + sizeof(struct head),
        .stride = stride,
        .features = features,
        .slots = (bytes - (uint32_t)sizeof(struct head)) / stride,
    };
}

/*
 * The check of a row, one value after the other from CHECK_START + slot: rows are read once for each tree, so it must be
 * cheaper than a CRC. The number of the slot makes a row valid nowhere else.
 */
static uint32_t check_value(uint32_t check, uint16_t value)
{
    return (check ^ value) * CHECK_PRIME;
}

bool tf_row_read(const struct tf_rows *rows, uint32_t slot, uint16_t *row)
{
    const uint8_t *bytes = rows->slot + slot * rows->stride;
    uint32_t check = CHECK_START + slot;
    for (uint32_t i = 0; i < rows->features; i++) {
        row[i] = tf_load16(bytes + 2 * i);
        check = check_value(check, row[i]);
    }
    return check == tf_load32(bytes + 2 * rows->features);
}

static void make_head(struct head *head, const struct tf_lesson *lesson)
{
    head->magic = MAGIC;
    head->generation = lesson->generation;
    memcpy(head->digest, lesson->digest, sizeof head->digest);
    head->zero = 0;
    head->crc = tf_crc32(0, head, offsetof(struct head, crc));
}

uint32_t tf_rows_open(const struct tf_hal *hal, const struct tf_lesson *lesson, const struct tf_rows *rows, uint16_t *valid)
{
    struct head head;
    uint32_t bytes = sizeof head;
    uint16_t row[TF_FEATURES_MAX];
    make_head(&head, lesson);
    *valid = 0;
    if (!tf_same(rows->slot - sizeof head, (const uint8_t *)&head, sizeof head)) {
        return 0;
    }
    for (uint32_t slot = 0; slot < rows->slots; slot++) {
        if (!tf_all(rows->slot + slot * rows->stride, 0xff, rows->stride)) {
            bytes = (uint32_t)sizeof head + (slot + 1) * rows->stride;
            *valid = (uint16_t)(*valid + tf_row_read(rows, slot, row));
        }
        hal->watchdog_kick(hal->ctx);
    }
    return bytes;
}

int tf_rows_begin(const struct tf_hal *hal, const struct tf_lesson *lesson, uint32_t *bytes)
{
    struct head head;
    make_head(&head, lesson);
    *bytes = sizeof head;
    return tf_flash_write(hal, hal->geometry.rows.offset, &head, sizeof head);
}

int tf_row_append(const struct tf_hal *hal, const struct tf_rows *rows, const int32_t *y, uint32_t *bytes)
{
    uint16_t slot[TF_FEATURES_MAX + CHECK_BYTES / 2];
    const uint32_t offset = hal->geometry.rows.offset + *bytes, features = rows->features;
    uint32_t check = CHECK_START + rows->slots;
    for (uint32_t i = 0; i < features; i++) {
        slot[i] = (uint16_t)y[i];
        check = check_value(check, slot[i]);
    }
    memcpy(slot + features, &check, sizeof check);
    *bytes += rows->stride;
    return tf_flash_write_padded(hal, offset, (const uint8_t *)slot, 2 * features + CHECK_BYTES);
}
