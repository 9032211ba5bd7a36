/* SPDX-License-Identifier: Apache-2.0 */
/* The last 768 KB of the chip's own flash: pages of 2 KB, written in double words with an error code of their own. A double
 * word takes a second write only after an erase. One that was torn by a loss of power may not be readable until then. */
#include <string.h>

#include "board.h"
#include "handlers.h"
#include "registers.h"
#include "vectors.h"

#define FLASH_BASE 0x08040000u
#define FLASH_FIRST_PAGE 128u
#define FLASH_BYTES 0xC0000u
#define ERASE_BYTES 2048u
#define WRITE_BYTES 8u

const struct tf_geometry board_geometry = {
    .erase_size = ERASE_BYTES,
    .write_size = WRITE_BYTES,
    .provisioned = { 0x00000, 0x20000, 0 },
    .journal = { { 0x20000, 0x2000, 0 }, { 0x22000, 0x2000, 0 } },
    .marks = { 0x24000, 0x9000, 0 },
    .scratch = { 0x2D000, 0x0800, 0 },
    .slot = { { 0x40000, 0x40000, 0 }, { 0x80000, 0x40000, 0 } },
    .samples = { { 0x30000, 0x4000, 0 }, { 0x34000, 0x4000, 0 } },
    .rows = { 0x38000, 0x4000, 0 },
    .forest = { 0x3C000, 0x4000, 0 },
};

static volatile bool unreadable;

/* Flash raises it for a double word that its error code can't correct. The load has ended with whatever was read. */
void nmi_handler(void)
{
    if ((FLASH_ECCR & FLASH_ECCR_ECCD) == 0) {
        fault_handler();
    }
    FLASH_ECCR = FLASH_ECCR_ECCD; /* writing a 1 clears it */
    unreadable = true;
}

bool board_flash_unreadable(void)
{
    __asm__ volatile("dsb\n\tisb" ::: "memory"); /* the loads before, and the interrupt that they raise */
    const bool was = unreadable;

    unreadable = false;
    return was;
}

static int outside(uint32_t offset, size_t length)
{
    return offset > FLASH_BYTES || length > FLASH_BYTES - offset;
}

const uint8_t *board_flash_map(uint32_t offset, size_t length)
{
    return outside(offset, length) ? NULL : (const uint8_t *)(FLASH_BASE + offset);
}

static void wait_for_controller(void)
{
    while ((FLASH_SR & FLASH_SR_BSY) != 0) {
    }
}

static void unlock(void)
{
    wait_for_controller();
    FLASH_KEYR = FLASH_KEY1;
    FLASH_KEYR = FLASH_KEY2;
    FLASH_SR = FLASH_SR_ERRORS; /* writing a 1 clears it; an old error refuses the next operation */
}

static int lock(void)
{
    const int result = (FLASH_SR & FLASH_SR_ERRORS) != 0 ? -1 : 0;

    FLASH_CR = FLASH_CR_LOCK;
    return result;
}

int board_flash_program(uint32_t offset, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;
    volatile uint32_t *to = (volatile uint32_t *)(FLASH_BASE + offset);

    if (outside(offset, length) || offset % WRITE_BYTES != 0 || length % WRITE_BYTES != 0) {
        return -1;
    }
    unlock();
    FLASH_CR = FLASH_CR_PG;
    for (size_t i = 0; i < length && (FLASH_SR & FLASH_SR_ERRORS) == 0; i += WRITE_BYTES) {
        uint32_t words[2];

        memcpy(words, from + i, sizeof words); /* the bytes may have any alignment */
        *to++ = words[0];
        *to++ = words[1];
        wait_for_controller();
    }
    return lock() == 0 && memcmp((const void *)(FLASH_BASE + offset), bytes, length) == 0 ? 0 : -1;
}

int board_flash_erase(uint32_t offset, size_t length)
{
    if (outside(offset, length) || offset % ERASE_BYTES != 0 || length % ERASE_BYTES != 0) {
        return -1;
    }
    unlock();
    for (size_t i = 0; i < length; i += ERASE_BYTES) {
        FLASH_CR = FLASH_CR_PER | FLASH_CR_PNB(FLASH_FIRST_PAGE + (offset + (uint32_t)i) / ERASE_BYTES);
        FLASH_CR |= FLASH_CR_STRT;
        wait_for_controller();
    }
    return lock();
}
