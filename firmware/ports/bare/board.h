/* SPDX-License-Identifier: Apache-2.0 */
/* What a bare-metal board provides: a clock, a UART with flow control, flash, a watchdog, sleep and reset. ports/bare/main.c
 * turns that into the agent's port, so a new board only needs these functions, a reset entry and a linker script. */
#ifndef TINYFLEET_PORTS_BARE_BOARD_H
#define TINYFLEET_PORTS_BARE_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/hal.h"

/* The layout of the agent's regions in the board's flash. */
extern const struct tf_geometry board_geometry;
/* Ticks of board_counter() per millisecond. */
extern const uint32_t board_ticks_per_ms;

/* The start-up code calls it once, with interrupts disabled; it enables them at its end. */
void board_init(void);
/* A free-running counter that wraps at 2^32. */
uint32_t board_counter(void);
/* Sleep until an interrupt, or not at all when received bytes wait. A slow tick (10 Hz) bounds the sleep. */
void board_sleep(void);
_Noreturn void board_reset(void);
/* Unless this is called again within the time, the board resets as after a fault. */
void board_watchdog(uint32_t ms);
/* Whether the watchdog ended the last run, by the chip's register for the cause of a reset, which this clears. For chips whose
 * watchdog resets without an interrupt; false where its interrupt leaves a note (fault.h). Asked once after a start. */
bool board_watchdog_fired(void);

void board_uart_write(const uint8_t *bytes, size_t length);

/* The address at which flash can be read in place; NULL when the range is out of bounds. */
const uint8_t *board_flash_map(uint32_t offset, size_t length);
/* 0, or -1 when the range is out of bounds, misaligned, or does not read back as written.
 * Programming only clears bits; only an erase sets them. */
int board_flash_program(uint32_t offset, const void *bytes, size_t length);
int board_flash_erase(uint32_t offset, size_t length);
/* Whether flash has reported, since the last call, that it could not correct what was read (an interrupt of chips with error
 * correction); false on other flash. */
bool board_flash_unreadable(void);

#endif
