/* SPDX-License-Identifier: Apache-2.0 */
/* CFI flash with Intel commands: two 16-bit chips in parallel, so each command is in both halves of a word.
 * The emulator lets programming set bits; this file enforces that it only clears them. */
#include "board.h"

#include <string.h>

#define FLASH 0x22000000u
#define BOTH_CHIPS(command) ((uint32_t)(command) * 0x00010001u)
#define ERASE BOTH_CHIPS(0x20)
#define CONFIRM BOTH_CHIPS(0xd0)
#define PROGRAM_BUFFER BOTH_CHIPS(0xe8)
#define READ_STATUS BOTH_CHIPS(0x70)
#define CLEAR_STATUS BOTH_CHIPS(0x50)
#define READ_ARRAY BOTH_CHIPS(0xff)
#define READY BOTH_CHIPS(0x80)
#define WORD_BYTES 4u
#define BUFFER_BYTES 1024u

#define FLASH_BYTES (32u * 1024u * 1024u)
#define ERASE_BYTES (256u * 1024u)

const struct tf_geometry board_geometry = {
    .erase_size = ERASE_BYTES,
    .write_size = WORD_BYTES,
    .provisioned = { 0x000000, 0x40000, 0 },
    .journal = { { 0x040000, 0x40000, 0 }, { 0x080000, 0x40000, 0 } },
    .marks = { 0x0C0000, 0x40000, 0 },
    .scratch = { 0x100000, 0x40000, 0 },
    .slot = { { 0x140000, 0x80000, 0 }, { 0x1C0000, 0x80000, 0 } },
    .samples = { { 0x240000, 0x80000, 0 }, { 0x2C0000, 0x80000, 0 } },
    .rows = { 0x340000, 0x40000, 0 },
    .forest = { 0x380000, 0x40000, 0 },
};

static volatile uint32_t *word_at(uint32_t offset)
{
    return (volatile uint32_t *)(FLASH + offset);
}

static int outside(uint32_t offset, size_t length)
{
    return offset > FLASH_BYTES || length > FLASH_BYTES - offset;
}

/* Wait for the end of an operation, and make the array readable again. */
static int finish(volatile uint32_t *word)
{
    uint32_t status;

    *word = READ_STATUS;
    do {
        status = *word;
    } while ((status & READY) != READY);
    *word = CLEAR_STATUS;
    *word = READ_ARRAY;
    return status == READY ? 0 : -1;
}

const uint8_t *board_flash_map(uint32_t offset, size_t length)
{
    return outside(offset, length) ? NULL : (const uint8_t *)(FLASH + offset);
}

/* Write words within one write buffer of the chips. */
static int program_buffer(volatile uint32_t *word, const uint8_t *from, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++) {
        uint32_t wanted;

        memcpy(&wanted, from + i * WORD_BYTES, WORD_BYTES);
        if ((word[i] & wanted) != wanted) {
            return -1;
        }
    }
    *word = PROGRAM_BUFFER;
    *word = BOTH_CHIPS(words - 1u);
    for (uint32_t i = 0; i < words; i++) {
        uint32_t wanted;

        memcpy(&wanted, from + i * WORD_BYTES, WORD_BYTES);
        word[i] = wanted;
    }
    *word = CONFIRM;
    return finish(word);
}

int board_flash_program(uint32_t offset, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;

    if (outside(offset, length) || offset % WORD_BYTES != 0 || length % WORD_BYTES != 0) {
        return -1;
    }
    while (length > 0) {
        const uint32_t room = BUFFER_BYTES - offset % BUFFER_BYTES;
        const uint32_t part = length < room ? (uint32_t)length : room;

        if (program_buffer(word_at(offset), from, part / WORD_BYTES) != 0
            || memcmp((const void *)(FLASH + offset), from, part) != 0) {
            return -1;
        }
        offset += part;
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
    for (; length > 0; length -= ERASE_BYTES, offset += ERASE_BYTES) {
        volatile uint32_t *word = word_at(offset);

        *word = ERASE;
        *word = CONFIRM;
        if (finish(word) != 0) {
            return -1;
        }
    }
    return 0;
}

bool board_flash_unreadable(void)
{
    return false; /* it has no error correction */
}
