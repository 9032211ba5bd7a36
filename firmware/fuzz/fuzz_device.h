/* SPDX-License-Identifier: Apache-2.0 */
/* A complete agent on the flash model, as the targets for messages need it: the same start for every input. */
#ifndef TINYFLEET_FUZZ_DEVICE_H
#define TINYFLEET_FUZZ_DEVICE_H

#include "host_agent.h"

#define FUZZ_ERASE 256
#define FUZZ_WRITE 8
#define FUZZ_JOURNAL_BYTES 2048
#define FUZZ_MARKS_BYTES 1024
#define FUZZ_SLOT_BYTES 4096
#define FUZZ_REPLY_BYTES 640

/* After a provisioned region of that many bytes: journals, marks and scratch, two slots, and whatever a target has behind them. */
#define FUZZ_MARKS_AT(region_bytes) ((region_bytes) + 2 * FUZZ_JOURNAL_BYTES)
#define FUZZ_SCRATCH_AT(region_bytes) (FUZZ_MARKS_AT(region_bytes) + FUZZ_MARKS_BYTES)
#define FUZZ_SLOTS_AT(region_bytes) (FUZZ_SCRATCH_AT(region_bytes) + FUZZ_ERASE)
#define FUZZ_SLOTS_END(region_bytes) (FUZZ_SLOTS_AT(region_bytes) + 2 * FUZZ_SLOT_BYTES)
#define FUZZ_REGIONS(region_bytes)                                                                                                         \
    .erase_size = FUZZ_ERASE, .write_size = FUZZ_WRITE, .provisioned = {0, (region_bytes), 0},                                             \
    .journal = {{(region_bytes), FUZZ_JOURNAL_BYTES, 0}, {(region_bytes) + FUZZ_JOURNAL_BYTES, FUZZ_JOURNAL_BYTES, 0}},                    \
    .marks = {FUZZ_MARKS_AT(region_bytes), FUZZ_MARKS_BYTES, 0}, .scratch = {FUZZ_SCRATCH_AT(region_bytes), FUZZ_ERASE, 0},                \
    .slot = {{FUZZ_SLOTS_AT(region_bytes), FUZZ_SLOT_BYTES, 0}, {FUZZ_SLOTS_AT(region_bytes) + FUZZ_SLOT_BYTES, FUZZ_SLOT_BYTES, 0}}

/* The memory of a target: flash, its first bytes as provisioned, and the arena. */
struct fuzz_memory {
    const struct tf_geometry *geometry;
    uint8_t *flash;
    size_t flash_bytes;
    uint8_t *region;
    struct tf_arena arena;
};

/* Read the file that TINYFLEET_FUZZ_REGION names, with this suffix, into the region. Once for all inputs. */
void fuzz_read_region(const struct fuzz_memory *memory, const char *suffix);

/* Make a provisioned device, and start it. */
void fuzz_make_device(struct host_device *device, const struct fuzz_memory *memory);

#endif
