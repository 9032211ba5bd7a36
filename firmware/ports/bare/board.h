/* SPDX-License-Identifier: Apache-2.0 */
/* What a bare-metal board brings: a clock, a UART with flow control, flash, a watchdog and sleep. ports/bare/main.c
 * builds the agent's port out of it, so a further board writes these functions and a linker script and no more. */
#ifndef TINYFLEET_PORTS_BARE_BOARD_H
#define TINYFLEET_PORTS_BARE_BOARD_H

#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/hal.h"

/* Where the agent's regions lie in the board's flash. */
extern const struct tf_geometry board_geometry;
/* Ticks of board_counter() in a millisecond. */
extern const uint32_t board_ticks_per_ms;

/* Called once by the start-up code, with interrupts off; switches them on at its end. */
void board_init(void);
/* A free-running counter that wraps at 2^32. */
uint32_t board_counter(void);
/* Sleeps until an interrupt; returns at once when received bytes wait. A slow tick (10 Hz) bounds the sleep. */
void board_sleep(void);
_Noreturn void board_reset(void);
/* From now on the board resets as after a fault, unless this is called again within the time. */
void board_watchdog(uint32_t ms);

void board_uart_write(const uint8_t *bytes, size_t length);

/* Flash, which can be read in place: NULL for a range outside of it. */
const uint8_t *board_flash_map(uint32_t offset, size_t length);
/* 0, or -1 for a range outside, wrong alignment, or bits that read back otherwise than written.
 * Programming can only clear bits; only an erase sets them. */
int board_flash_program(uint32_t offset, const void *bytes, size_t length);
int board_flash_erase(uint32_t offset, size_t length);

#endif
