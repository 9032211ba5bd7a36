/* SPDX-License-Identifier: Apache-2.0 */
/* SPI flash behind the firmware, written by functions of the chip's ROM. Flash can't be read while its cache is suspended: what
 * calls these functions is in RAM. They take whole words at addresses of whole words. */
#include <string.h>

#include "board.h"
#include "registers.h"

#define FIRMWARE_BYTES 0x40000u
#define FLASH_BASE (0x3C000000u + FIRMWARE_BYTES)
#define FLASH_BYTES 0xC0000u
#define ERASE_BYTES 4096u
#define WRITE_BYTES 4u
#define PART_BYTES 256u
/* The bus for instructions has RAM this much above where data is. */
#define RAM_AS_CODE 0x700000u

const struct tf_geometry board_geometry = {
    .erase_size = ERASE_BYTES,
    .write_size = WRITE_BYTES,
    .provisioned = { 0x00000, 0x20000, 0 },
    .journal = { { 0x20000, 0x2000, 0 }, { 0x22000, 0x2000, 0 } },
    .marks = { 0x24000, 0x9000, 0 },
    .scratch = { 0x2D000, 0x1000, 0 },
    .slot = { { 0x40000, 0x40000, 0 }, { 0x80000, 0x40000, 0 } },
    .samples = { { 0x30000, 0x4000, 0 }, { 0x34000, 0x4000, 0 } },
    .rows = { 0x38000, 0x4000, 0 },
    .forest = { 0x3C000, 0x4000, 0 },
};

/* Writes words, or erases a sector if there are none. The start-up code copies it to RAM with initialised data; the compiler
 * must not move a part of it elsewhere. */
__attribute__((section(".in_ram"), noipa)) static int change_in_ram(uint32_t address, const uint32_t *words, int32_t length)
{
    const uint32_t autoload = ROM_CACHE_SUSPEND_ICACHE();
    int result = ROM_SPIFLASH_UNLOCK();

    if (result == 0) {
        result = words != NULL ? ROM_SPIFLASH_WRITE(address, words, length)
                               : ROM_SPIFLASH_ERASE_SECTOR(address / ERASE_BYTES);
    }
    ROM_CACHE_RESUME_ICACHE(autoload);
    return result;
}

static int change(uint32_t offset, const uint32_t *words, size_t length)
{
    int (*run)(uint32_t, const uint32_t *, int32_t) =
        (int (*)(uint32_t, const uint32_t *, int32_t))((uintptr_t)change_in_ram + RAM_AS_CODE);
    const int result = run(FIRMWARE_BYTES + offset, words, (int32_t)length);

    ROM_CACHE_INVALIDATE_ADDR(FLASH_BASE + offset, (uint32_t)length);
    return result == 0 ? 0 : -1;
}

static int outside(uint32_t offset, size_t length)
{
    return offset > FLASH_BYTES || length > FLASH_BYTES - offset;
}

const uint8_t *board_flash_map(uint32_t offset, size_t length)
{
    return outside(offset, length) ? NULL : (const uint8_t *)(FLASH_BASE + offset);
}

int board_flash_program(uint32_t offset, const void *bytes, size_t length)
{
    uint32_t words[PART_BYTES / sizeof(uint32_t)]; /* in RAM and aligned, whatever the bytes are */
    const uint8_t *from = bytes;

    if (outside(offset, length) || offset % WRITE_BYTES != 0 || length % WRITE_BYTES != 0) {
        return -1;
    }
    while (length > 0) {
        const size_t part = length < PART_BYTES ? length : PART_BYTES;

        memcpy(words, from, part);
        if (change(offset, words, part) != 0 || memcmp((const void *)(FLASH_BASE + offset), from, part) != 0) {
            return -1;
        }
        offset += (uint32_t)part;
        from += part;
        length -= part;
    }
    return 0;
}

int board_flash_erase(uint32_t offset, size_t length)
{
    if (outside(offset, length) || offset % ERASE_BYTES != 0 || length % ERASE_BYTES != 0) {
        return -1;
    }
    for (size_t i = 0; i < length; i += ERASE_BYTES) {
        if (change(offset + (uint32_t)i, NULL, ERASE_BYTES) != 0) {
            return -1;
        }
    }
    return 0;
}

bool board_flash_unreadable(void)
{
    return false; /* it has no error correction */
}
