/* SPDX-License-Identifier: Apache-2.0 */
/* What the module uses of Zephyr, declared again by hand: names, types and order of arguments as in zephyrproject-rtos/zephyr
 * 6a91888a, include/zephyr/task_wdt/task_wdt.h. */
#ifndef CONTRACT_TASK_WDT_H
#define CONTRACT_TASK_WDT_H

#include <stdint.h>

#include <zephyr/device.h>

typedef void (*task_wdt_callback_t)(int channel_id, void *user_data);

int task_wdt_init(const struct device *hw_wdt);
int task_wdt_add(uint32_t reload_period, task_wdt_callback_t callback, void *user_data);
int task_wdt_feed(int channel_id);

#endif
