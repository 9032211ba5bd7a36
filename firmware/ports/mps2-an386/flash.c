/* SPDX-License-Identifier: Apache-2.0 */
/* The PSRAM of the emulated board plays the flash; the emulator keeps it in a file, so it survives a kill of the emulator.
 * PSRAM accepts any write. This file enforces that programming only clears bits, and that only an erase of whole sectors
 * sets them. */
#include "board.h"

#define FLASH ((volatile uint8_t *)0x21000000u)

#define FLASH_BYTES (1024u * 1024u)
#define ERASE_BYTES 4096u
#define WRITE_BYTES 8u

const struct tf_geometry board_geometry = {
    .erase_size = ERASE_BYTES,
    .write_size = WRITE_BYTES,
    .provisioned = { 0x00000, 0x20000, 0 },
    .journal = { { 0x20000, 0x2000, 0 }, { 0x22000, 0x2000, 0 } },
    .marks = { 0x24000, 0x9000, 0 },
    .scratch = { 0x2D000, 0x1000, 0 },
    .slot = { { 0x30000, 0x40000, 0 }, { 0x70000, 0x40000, 0 } },
    .samples = { { 0xB0000, 0x10000, 0 }, { 0xC0000, 0x8000, 0 } },
    .rows = { 0xC8000, 0x4000, 0 },
    .forest = { 0xCC000, 0x4000, 0 },
};

static int outside(uint32_t offset, size_t length)
{
    return offset > FLASH_BYTES || length > FLASH_BYTES - offset;
}

const uint8_t *board_flash_map(uint32_t offset, size_t length)
{
    return outside(offset, length) ? NULL : (const uint8_t *)FLASH + offset;
}

int board_flash_program(uint32_t offset, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;

    if (outside(offset, length) || offset % WRITE_BYTES != 0 || length % WRITE_BYTES != 0) {
        return -1;
    }
    for (size_t i = 0; i < length; i++) {
        const uint8_t now = (uint8_t)(FLASH[offset + i] & from[i]);

        FLASH[offset + i] = now;
        if (now != from[i]) {
            return -1;
        }
    }
    return 0;
}

int board_flash_erase(uint32_t offset, size_t length)
{
    if (outside(offset, length) || offset % ERASE_BYTES != 0 || length % ERASE_BYTES != 0) {
        return -1;
    }
    for (size_t i = 0; i < length; i++) {
        FLASH[offset + i] = 0xFF;
    }
    return 0;
}

bool board_flash_unreadable(void)
{
    return false; /* it has no error correction */
}
