/* SPDX-License-Identifier: Apache-2.0 */
/* What this port chooses for the code in ports/bare. */
#ifndef TINYFLEET_PORTS_ESP32C3_BOARD_CONFIG_H
#define TINYFLEET_PORTS_ESP32C3_BOARD_CONFIG_H

/* What the largest model needs to run. */
#define ARENA_BYTES (32u * 1024u)
/* A store there faults, for board-check: nothing is mapped. */
#define FAULT_ADDRESS 0x70000000u

#endif
