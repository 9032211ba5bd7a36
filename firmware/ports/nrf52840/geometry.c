/* SPDX-License-Identifier: Apache-2.0 */
/* The last 768 KB of the chip's flash. */
#include "board.h"

const struct tf_geometry board_geometry = {
    .erase_size = 4096u,
    .write_size = 4u,
    .provisioned = { 0x00000, 0x20000, 0 },
    .journal = { { 0x20000, 0x2000, 0 }, { 0x22000, 0x2000, 0 } },
    .marks = { 0x24000, 0x9000, 0 },
    .scratch = { 0x2D000, 0x1000, 0 },
    .slot = { { 0x40000, 0x40000, 0 }, { 0x80000, 0x40000, 0 } },
    .samples = { { 0x30000, 0x4000, 0 }, { 0x34000, 0x4000, 0 } },
    .rows = { 0x38000, 0x4000, 0 },
    .forest = { 0x3C000, 0x4000, 0 },
};
