/* SPDX-License-Identifier: Apache-2.0 */
/* QSPI flash behind the firmware, written by functions of the chip's ROM (RP2040 Datasheet, 2.8.3.1.3). Pages of 256 bytes are
 * programmed, sectors of 4 KB erased, and bits are only cleared. Flash can't be read meanwhile: what calls these functions
 * is in RAM, and no interrupt may come. */
#include <string.h>

#include "board.h"

#define FIRMWARE_BYTES 0x40000u
#define FLASH_BASE (0x10000000u + FIRMWARE_BYTES)
#define FLASH_BYTES 0xC0000u
#define WRITE_BYTES 4u
#define ERASE_BYTES 4096u
#define PAGE_BYTES 256u
#define BLOCK_BYTES 65536u
#define BLOCK_ERASE 0xD8u /* the ROM takes this command for whole blocks */

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

/* The ROM has the addresses of two tables and of a function that finds an entry in them; each is half a word. */
#define ROM_HALF(address) ((uintptr_t) * (const volatile uint16_t *)(address))
#define ROM_FUNCTIONS 0x14u
#define ROM_LOOKUP 0x18u
#define ROM_NAME(first, second) ((uint32_t)(second) << 8 | (uint32_t)(first))

struct rom_flash {
    void (*connect)(void);
    void (*exit_xip)(void);
    void (*erase)(uint32_t offset, size_t length, uint32_t block, uint8_t command);
    void (*program)(uint32_t offset, const uint8_t *bytes, size_t length);
    void (*flush_cache)(void);
    void (*enter_xip)(void);
};

static uintptr_t rom_function(uint32_t name)
{
    uintptr_t (*lookup)(const uint16_t *, uint32_t) = (uintptr_t(*)(const uint16_t *, uint32_t))ROM_HALF(ROM_LOOKUP);

    return lookup((const uint16_t *)ROM_HALF(ROM_FUNCTIONS), name);
}

static struct rom_flash rom_flash(void)
{
    return (struct rom_flash){
        .connect = (void (*)(void))rom_function(ROM_NAME('I', 'F')),
        .exit_xip = (void (*)(void))rom_function(ROM_NAME('E', 'X')),
        .erase = (void (*)(uint32_t, size_t, uint32_t, uint8_t))rom_function(ROM_NAME('R', 'E')),
        .program = (void (*)(uint32_t, const uint8_t *, size_t))rom_function(ROM_NAME('R', 'P')),
        .flush_cache = (void (*)(void))rom_function(ROM_NAME('F', 'C')),
        .enter_xip = (void (*)(void))rom_function(ROM_NAME('C', 'X')),
    };
}

/* Programs a page, or erases a sector if there is none. The start-up code copies this function to RAM with initialised data;
 * the compiler must not move a part of it elsewhere. */
__attribute__((section(".in_ram"), noipa)) static void change(struct rom_flash rom, uint32_t offset, const uint8_t *page)
{
    __asm__ volatile("cpsid i" ::: "memory");
    rom.connect();
    rom.exit_xip();
    if (page != NULL) {
        rom.program(FIRMWARE_BYTES + offset, page, PAGE_BYTES);
    } else {
        rom.erase(FIRMWARE_BYTES + offset, ERASE_BYTES, BLOCK_BYTES, BLOCK_ERASE);
    }
    rom.flush_cache();
    rom.enter_xip();
    __asm__ volatile("cpsie i" ::: "memory");
}

static int outside(uint32_t offset, size_t length)
{
    return offset > FLASH_BYTES || length > FLASH_BYTES - offset;
}

const uint8_t *board_flash_map(uint32_t offset, size_t length)
{
    return outside(offset, length) ? NULL : (const uint8_t *)(FLASH_BASE + offset);
}

/* What a page has besides the bytes is programmed with ones, which changes nothing. */
int board_flash_program(uint32_t offset, const void *bytes, size_t length)
{
    uint8_t page[PAGE_BYTES]; /* in RAM, unlike the bytes */
    const uint8_t *from = bytes;

    if (outside(offset, length) || offset % WRITE_BYTES != 0 || length % WRITE_BYTES != 0) {
        return -1;
    }
    while (length > 0) {
        const uint32_t skipped = offset % PAGE_BYTES;
        const size_t part = length < PAGE_BYTES - skipped ? length : PAGE_BYTES - skipped;

        memset(page, 0xFF, sizeof page);
        memcpy(page + skipped, from, part);
        change(rom_flash(), offset - skipped, page);
        if (memcmp((const void *)(FLASH_BASE + offset), from, part) != 0) {
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
        change(rom_flash(), offset + (uint32_t)i, NULL);
    }
    return 0;
}

bool board_flash_unreadable(void)
{
    return false; /* it has no error correction */
}
