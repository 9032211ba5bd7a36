/* SPDX-License-Identifier: Apache-2.0 */
/* What this port chooses for the code in ports/bare. */
#ifndef TINYFLEET_PORTS_NRF51_MICROBIT_BOARD_CONFIG_H
#define TINYFLEET_PORTS_NRF51_MICROBIT_BOARD_CONFIG_H

/* What the largest model needs to run: as much as 16 KB of RAM leave. */
#define ARENA_BYTES (5u * 1024u)
/* The agent's regions, behind the firmware. */
#define FLASH_BASE 0x10000u
#define FLASH_BYTES 0x30000u
#define PIN_TXD 24u
#define PIN_RXD 25u
/* A store there faults, for board-check: nothing is mapped. (Above 0xF0000000 are registers of the chip.) */
#define FAULT_ADDRESS 0x80000000u

#endif
