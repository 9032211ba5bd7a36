/* SPDX-License-Identifier: Apache-2.0 */
/* What the module uses of Zephyr, declared again by hand: names, types and order of arguments as in zephyrproject-rtos/zephyr
 * include/zephyr/sys/printk.h. */
#ifndef CONTRACT_PRINTK_H
#define CONTRACT_PRINTK_H

void printk(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
