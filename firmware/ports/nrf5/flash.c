/* SPDX-License-Identifier: Apache-2.0 */
/* The chip's own flash behind the firmware. The flash controller only clears bits, and erases pages. The folder of the port
 * has its geometry. */
#include <string.h>

#include "board.h"
#include "board_config.h"
#include "registers.h"

#define ERASE_BYTES board_geometry.erase_size
#define WRITE_BYTES 4u

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
    while (NVMC_READY == 0) {
    }
}

int board_flash_program(uint32_t offset, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;
    volatile uint32_t *to = (volatile uint32_t *)(FLASH_BASE + offset);
    int result = 0;

    if (outside(offset, length) || offset % WRITE_BYTES != 0 || length % WRITE_BYTES != 0) {
        return -1;
    }
    NVMC_CONFIG = NVMC_CONFIG_WRITE;
    wait_for_controller();
    for (size_t i = 0; i < length && result == 0; i += WRITE_BYTES) {
        uint32_t word;

        memcpy(&word, from + i, sizeof word); /* the bytes may have any alignment */
        *to = word;
        wait_for_controller();
        result = *to++ == word ? 0 : -1;
    }
    NVMC_CONFIG = NVMC_CONFIG_READ;
    wait_for_controller();
    return result;
}

int board_flash_erase(uint32_t offset, size_t length)
{
    if (outside(offset, length) || offset % ERASE_BYTES != 0 || length % ERASE_BYTES != 0) {
        return -1;
    }
    NVMC_CONFIG = NVMC_CONFIG_ERASE;
    wait_for_controller();
    for (size_t i = 0; i < length; i += ERASE_BYTES) {
        NVMC_ERASEPAGE = FLASH_BASE + offset + (uint32_t)i;
        wait_for_controller();
    }
    NVMC_CONFIG = NVMC_CONFIG_READ;
    wait_for_controller();
    return 0;
}

bool board_flash_unreadable(void)
{
    return false; /* it has no error correction */
}
