/* SPDX-License-Identifier: Apache-2.0 */
/* The emulated board has no source of random numbers. What it takes instead, the time between two reads of a counter, anyone who
 * knows the emulator can guess: keys that depend on it protect nothing. */
#include "entropy.h"

#include "board.h"

static unsigned int state = 0x9E3779B9u;

int entropy_read(void *ctx, unsigned char *bytes, size_t length)
{
    (void)ctx;
    for (size_t i = 0; i < length; i++) {
        state = (state ^ board_counter()) * 0x01000193u;
        bytes[i] = (unsigned char)(state >> 16);
    }
    return 0;
}

unsigned int board_random(void)
{
    unsigned int value;

    (void)entropy_read(NULL, (unsigned char *)&value, sizeof value);
    return value;
}

void entropy_warn(void)
{
    static const char warning[] = "warning: the entropy of this board is not real\r\n";

    board_uart_write((const uint8_t *)warning, sizeof warning - 1u);
}
