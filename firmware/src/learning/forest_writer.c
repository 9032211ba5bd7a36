/* SPDX-License-Identifier: Apache-2.0 */
#include "learning/forest_writer.h"

#include <string.h>

/* Offsets in a section FOREST. */
enum { AT_THRESHOLD_BITS = 2, AT_TREES = 6, AT_SUBSAMPLE = 14 };

#define RECORD_BYTES 20u
#define HAS_ROW_BIT 1u
#define DEPTH_UNIT 2048u
#define GATHERED_BITS (8u * TF_WRITE_SIZE_MAX)
#define TABLE_FRACTION 24 /* bits after the point, while the leaf table is computed */
#define ONE (1u << TABLE_FRACTION)
#define ROUNDING (TABLE_FRACTION - 11)

static uint32_t bit_length(uint32_t value)
{
    uint32_t bits = 0;
    for (; value != 0; value >>= 1) {
        bits++;
    }
    return bits;
}

struct tf_forest_form tf_forest_form(uint32_t features, const uint8_t *forest)
{
    const uint32_t subsample = tf_load16(forest + AT_SUBSAMPLE);
    return (struct tf_forest_form){
        .features = features,
        .trees = tf_load16(forest + AT_TREES),
        .subsample = subsample,
        .threshold_bits = forest[AT_THRESHOLD_BITS],
        .feature_bits = bit_length(features - 1),
        .row_bits = bit_length(subsample - 1),
        .front_bytes = tf_round_up(RECORD_BYTES + 2 * subsample, TF_WRITE_SIZE_MAX),
    };
}

void tf_bits_begin(struct tf_bit_writer *writer, const struct tf_hal *hal, uint32_t offset)
{
    const struct tf_region *region = &hal->geometry.forest;
    writer->bits = 0;
    writer->error = TF_OK;
    writer->offset = region->offset + offset;
    writer->limit = region->offset + region->size;
}

static void flush(struct tf_bit_writer *writer, const struct tf_hal *hal)
{
    const uint32_t offset = writer->offset + writer->bits / 8 - TF_WRITE_SIZE_MAX;
    if (writer->error == TF_OK) {
        writer->error = offset < writer->limit ? tf_flash_write(hal, offset, writer->gathered, TF_WRITE_SIZE_MAX) : TF_ERR_CAPACITY;
    }
}

void tf_bits_put(struct tf_bit_writer *writer, const struct tf_hal *hal, uint32_t value, uint32_t width)
{
    while (width > 0) {
        const uint32_t used = writer->bits & 7, left = 8 - used, n = width < left ? width : left;
        uint8_t *byte = &writer->gathered[writer->bits / 8 % TF_WRITE_SIZE_MAX];
        *byte = (uint8_t)((used != 0 ? *byte : 0u) | value << used);
        value >>= n;
        width -= n;
        writer->bits += n;
        if (writer->bits % GATHERED_BITS == 0) {
            flush(writer, hal);
        }
    }
}

/*
 * The mean depth of what a leaf of n rows would have grown into, in 1/2048 of a split: 2 (ln m + gamma) - 2 m / n with m = n - 1,
 * where the harmonic number of m - 1 / 2m + 1 / 12m^2 stands for ln m + gamma.
 */
static void put_table(struct tf_bit_writer *writer, const struct tf_hal *hal, uint32_t rows)
{
    uint32_t harmonic = ONE;
    for (uint32_t m = 2; m < rows; m++) {
        harmonic += ONE / m;
        const uint32_t depth = 2 * harmonic - ONE / m + ONE / (6 * m * m) - 2 * ONE + 2 * ONE / (m + 1);
        tf_bits_put(writer, hal, (depth + (1u << (ROUNDING - 1))) >> ROUNDING, 16);
    }
}

uint32_t tf_forest_finish(struct tf_bit_writer *writer, const struct tf_hal *hal, const struct tf_forest_form *form)
{
    const uint32_t stream_bits = writer->bits;
    const uint32_t stream_bytes = tf_round_up((stream_bits + 7) / 8 + 3, 4);
    const uint32_t rows = (form->front_bytes - RECORD_BYTES) / 2;
    tf_bits_put(writer, hal, 0, tf_round_up(8 * stream_bytes, GATHERED_BITS) - stream_bits);
    writer->offset -= form->front_bytes;
    const uint32_t front[] = {
        /* mode 0, then the fields in their order */
        HAS_ROW_BIT << 8 | form->threshold_bits << 16 | form->row_bits << 24,
        form->row_bits << 8 | form->trees << 16,
        1 | rows << 16,
        DEPTH_UNIT | form->subsample << 16,
        stream_bits,
        DEPTH_UNIT << 16, /* the table: none for one row, and one for two */
    };
    memcpy(writer->gathered, front, sizeof front);
    writer->bits = 8 * sizeof front;
    put_table(writer, hal, rows);
    return form->front_bytes + stream_bytes;
}
