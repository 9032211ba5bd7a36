/* SPDX-License-Identifier: Apache-2.0 */
/* What the module uses of Zephyr, declared again by hand: names, types and order of arguments as in zephyrproject-rtos/zephyr
 * include/zephyr/device.h. Devices of the device tree are objects of the stand-in. Not Zephyr. */
#ifndef CONTRACT_DEVICE_H
#define CONTRACT_DEVICE_H

struct device;

#define DEVICE_DT_GET(node) (node)
#define DEVICE_DT_GET_OR_NULL(node) ((const struct device *)0)

extern const struct device contract_tinyfleet_uart;

#endif
