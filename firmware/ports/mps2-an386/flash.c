/* SPDX-License-Identifier: Apache-2.0 */
/* The PSRAM of the emulated board stands in for flash (the emulator keeps it in a file, so it survives a kill of the
 * emulator). The memory itself would take anything: that bits are only cleared by programming and only set by an erase
 * of whole sectors is held here. */
#include "board.h"

#include <string.h>

#define FLASH ((volatile uint8_t *)0x21000000u)

const uint32_t board_flash_bytes = 1024u * 1024u;
const uint32_t board_erase_bytes = 4096u;

static int outside(uint32_t offset, size_t length)
{
    return offset > board_flash_bytes || length > board_flash_bytes - offset;
}

int board_flash_read(uint32_t offset, void *buffer, size_t length)
{
    uint8_t *to = buffer;

    if (outside(offset, length)) {
        return -1;
    }
    for (size_t i = 0; i < length; i++) {
        to[i] = FLASH[offset + i];
    }
    return 0;
}

int board_flash_program(uint32_t offset, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;

    if (outside(offset, length)) {
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
    if (outside(offset, length) || offset % board_erase_bytes != 0 || length % board_erase_bytes != 0) {
        return -1;
    }
    for (size_t i = 0; i < length; i++) {
        FLASH[offset + i] = 0xFF;
    }
    return 0;
}
