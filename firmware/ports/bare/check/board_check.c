/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks a board before the agent is put on it, by one-letter commands over the UART. At its start it sends `!`, or `F`
 * when a fault or the watchdog ended the last run. Every other answer is one letter: `+` done, `-` refused.
 *
 *   e  erase the first unit of slot A            p  program it (works once after an erase)
 *   o  program an odd length                     x  program and erase outside of the flash (must both be refused)
 *   c  compare it: + programmed, - erased        s  stop feeding the watchdog, and never answer
 *   f  store where a store faults                r  reset
 *   anything else comes back as it is
 */
#include <stdbool.h>
#include <string.h>

#include "board.h"
#include "board_config.h"
#include "fault.h"
#include "receive_ring.h"

#define WATCHDOG_MS 500u
#define FAR 0x7F000000u
#define ERASE_SIZE (board_geometry.slot[0].erase_size != 0 ? board_geometry.slot[0].erase_size : board_geometry.erase_size)

static const uint8_t pattern[64] = { 1, 2, 3, 4, 5, 6, 7, 8, 0xF0, 0x0F, 0xAA, 0x55 };

int main(void);

static uint8_t verdict(bool good)
{
    return good ? (uint8_t)'+' : (uint8_t)'-';
}

static uint8_t flash_command(uint8_t command)
{
    const uint32_t place = board_geometry.slot[0].offset;
    const uint8_t *mapped = board_flash_map(place, sizeof pattern);

    switch (command) {
    case 'e': return verdict(board_flash_erase(place, ERASE_SIZE) == 0);
    case 'p': return verdict(board_flash_program(place, pattern, sizeof pattern) == 0);
    case 'o': return verdict(board_flash_program(place, pattern, 1) == 0);
    case 'x':
        return verdict(board_flash_program(FAR, pattern, sizeof pattern) == 0
                       || board_flash_erase(FAR, ERASE_SIZE) == 0 || board_flash_map(FAR, 1) != NULL
                       || board_flash_erase(place + 4u, ERASE_SIZE) == 0);
    default: return verdict(mapped != NULL && memcmp(mapped, pattern, sizeof pattern) == 0);
    }
}

static void obey(uint8_t command)
{
    uint8_t answer = command;

    switch (command) {
    case 'r': board_reset();
    case 's':
        for (;;) {
        }
    case 'f': *(volatile uint32_t *)FAULT_ADDRESS = 1; break;
    case 'e':
    case 'p':
    case 'o':
    case 'x':
    case 'c': answer = flash_command(command); break;
    default: break;
    }
    board_uart_write(&answer, 1);
}

int main(void)
{
    const bool fired = board_watchdog_fired(); /* asked in any case, as this clears it */
    const uint8_t hello = fault_take_note() || fired ? 'F' : '!';

    board_watchdog(WATCHDOG_MS);
    board_uart_write(&hello, 1);
    for (;;) {
        while (!receive_ring_empty()) {
            const uint8_t command = receive_ring_take();

            board_uart_resume();
            obey(command);
        }
        board_watchdog(WATCHDOG_MS);
        board_sleep();
    }
}
