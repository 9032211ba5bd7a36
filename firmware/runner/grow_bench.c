/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What growing a forest costs on an emulated board, and its bytes. The request has u32 features, trees, samples of a tree,
 * threshold bits, seed and rows, then the rows as u16. The answer has the instructions of growing as a u32, the length of the
 * section FOREST or an error as an i32, and the section. Flash is memory here, so its driver is not counted. `make bench-learning`
 * sends the request and checks the bytes.
 */
#include <string.h>

#include "board.h"
#include "learning/grow_tree.h"
#include "target.h"

#define FLASH_BYTES 0x40000u
#define FOREST_AT 0x20000u
#define WRITE_BYTES 8u
#define ERASE_BYTES 4096u
#define RECORD_BYTES 20u
#define FEATURES_MAX 32u

struct request {
    uint32_t features, trees, subsample, threshold_bits, seed, rows;
};

int main(void);

static uint8_t *flash; /* behind the request, where there is memory enough */
static uint16_t scratch[TF_SUBSAMPLE_MAX * FEATURES_MAX];

static int ram_read(void *ctx, uint32_t offset, void *buffer, size_t length)
{
    (void)ctx;
    memcpy(buffer, flash + offset, length);
    return 0;
}

static int ram_write(void *ctx, uint32_t offset, const void *data, size_t length)
{
    (void)ctx;
    memcpy(flash + offset, data, length);
    return 0;
}

static const uint8_t *ram_map(void *ctx, uint32_t offset, size_t length)
{
    (void)ctx;
    (void)length;
    return flash + offset;
}

static void kick(void *ctx)
{
    (void)ctx;
}

static const struct tf_hal hal = {
    .geometry = {
        .erase_size = ERASE_BYTES,
        .write_size = WRITE_BYTES,
        .rows = {.offset = 0, .size = FOREST_AT},
        .forest = {.offset = FOREST_AT, .size = FLASH_BYTES - FOREST_AT},
    },
    .flash_read = ram_read,
    .flash_write = ram_write,
    .flash_map = ram_map,
    .watchdog_kick = kick,
};

static struct tf_forest_form form_of(const struct request *request)
{
    uint8_t record[RECORD_BYTES] = {0};
    record[2] = (uint8_t)request->threshold_bits;
    record[6] = (uint8_t)request->trees;
    record[7] = (uint8_t)(request->trees >> 8);
    record[14] = (uint8_t)request->subsample;
    record[15] = (uint8_t)(request->subsample >> 8);
    return tf_forest_form(request->features, record);
}

/* Write the rows where a device keeps them. Returns how many bytes of the region are used, or 0. */
static uint32_t store_rows(const struct request *request, const uint16_t *values)
{
    static const uint8_t digest[32];
    const struct tf_lesson lesson = {0, digest};
    int32_t row[FEATURES_MAX];
    uint32_t bytes = 0;
    memset(flash, 0xff, FLASH_BYTES);
    int error = tf_rows_begin(&hal, &lesson, &bytes);
    for (uint32_t i = 0; i < request->rows && error == 0; i++) {
        for (uint32_t f = 0; f < request->features; f++) {
            row[f] = *values++;
        }
        const struct tf_rows rows = tf_rows_view(&hal, request->features, bytes);
        error = tf_row_append(&hal, &rows, row, &bytes);
    }
    return error == 0 ? bytes : 0;
}

int main(void)
{
    const struct request *request = (const struct request *)target_request;
    const uint16_t *values = (const uint16_t *)(request + 1);
    flash = (uint8_t *)(target_request + tf_round_up(sizeof *request + sizeof *values * request->features * request->rows, ERASE_BYTES));
    const uint32_t used = store_rows(request, values);
    const struct tf_forest_form form = form_of(request);
    const struct tf_rows rows = tf_rows_view(&hal, form.features, used);
    struct tf_bit_writer writer;
    uint32_t random = request->seed;
    const uint32_t before = target_instructions();
    tf_bits_begin(&writer, &hal, form.front_bytes);
    for (uint32_t tree = 0; tree < form.trees; tree++) {
        tf_grow_tree(&hal, &rows, request->rows, &form, scratch, &random, &writer);
    }
    const uint32_t section = tf_forest_finish(&writer, &hal, &form);
    const int32_t size = used == 0 || writer.error != TF_OK ? -1 : (int32_t)section;
    const uint32_t instructions = target_instructions() - before;
    board_uart_write((const uint8_t *)&instructions, sizeof instructions);
    board_uart_write((const uint8_t *)&size, sizeof size);
    board_uart_write(flash + FOREST_AT, size > 0 ? (size_t)size : 0);
    for (;;) {
        board_sleep();
    }
}
