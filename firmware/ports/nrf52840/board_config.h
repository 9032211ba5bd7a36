/* SPDX-License-Identifier: Apache-2.0 */
/* What this port chooses for the code in ports/bare. */
#ifndef TINYFLEET_PORTS_NRF52840_BOARD_CONFIG_H
#define TINYFLEET_PORTS_NRF52840_BOARD_CONFIG_H

/* What the largest model needs to run. */
#define ARENA_BYTES (32u * 1024u)
/* The agent's regions, behind the firmware. */
#define FLASH_BASE 0x40000u
#define FLASH_BYTES 0xC0000u
#define PIN_TXD 6u /* as the nRF52840 DK connects its USB adapter */
#define PIN_RXD 8u
/* A store there faults, for board-check: nothing is mapped. (Above 0xF0000000 are registers of the chip.) */
#define FAULT_ADDRESS 0x80000000u

#endif
