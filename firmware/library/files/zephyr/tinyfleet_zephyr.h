/* SPDX-License-Identifier: Apache-2.0 */
/* tinyfleet on Zephyr: flash is a fixed partition of internal flash, messages come over a UART or from your MQTT client. */
#ifndef TINYFLEET_ZEPHYR_H
#define TINYFLEET_ZEPHYR_H

#include <zephyr/device.h>
#include <zephyr/storage/flash_map.h>

#include "tinyfleet.h"

struct tinyfleet_zephyr {
    struct tinyfleet device;
    struct tinyfleet_line line;
    const struct flash_area *area;
    const uint8_t *mapped;
    int watchdog;
};

/* The address of a fixed partition of internal flash, by its label in the device tree. */
#define TINYFLEET_ZEPHYR_ADDRESS(label) ((const uint8_t *)(uintptr_t)(CONFIG_FLASH_BASE_ADDRESS + FIXED_PARTITION_OFFSET(label)))

/*
 * Start the model that runs. area_id: FIXED_PARTITION_ID(label). address: TINYFLEET_ZEPHYR_ADDRESS(label). `port` has arena,
 * engines and whatever else suits you; this fills in flash, clock, watchdog and restart. Returns 0, or a negative error of
 * Zephyr or of the agent. Call it from the thread that then polls.
 */
int tinyfleet_zephyr_start(struct tinyfleet_zephyr *node, uint8_t area_id, const uint8_t *address, struct tinyfleet_port port);

/* Take messages from a UART with interrupts. One device of a firmware can be on a serial line. */
int tinyfleet_zephyr_serial(struct tinyfleet_zephyr *node, const struct device *uart);

/* As tinyfleet_poll(), and handles what the UART has received. Feeds the watchdog of the thread. */
bool tinyfleet_zephyr_poll(struct tinyfleet_zephyr *node);

/* For your k_sys_fatal_error_handler(), before it restarts the device: the model that ran is to blame. */
void tinyfleet_zephyr_leave_note(void);

#endif
