/* SPDX-License-Identifier: Apache-2.0 */
/* The last 192 KB of the chip's flash. */
#include "board.h"

const struct tf_geometry board_geometry = {
    .erase_size = 1024u,
    .write_size = 4u,
    .provisioned = { 0x00000, 0x6000, 0 },
    .journal = { { 0x06000, 0x1000, 0 }, { 0x07000, 0x1000, 0 } },
    .marks = { 0x08000, 0x2000, 0 },
    .scratch = { 0x0A000, 0x1000, 0 },
    .slot = { { 0x10000, 0x10000, 0 }, { 0x20000, 0x10000, 0 } },
    .samples = { { 0x0B000, 0x3000, 0 }, { 0x0E000, 0x2000, 0 } },
};
