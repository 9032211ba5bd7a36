/* SPDX-License-Identifier: Apache-2.0 */
/* What the module uses of Zephyr, declared again by hand: names, types and order of arguments as in zephyrproject-rtos/zephyr
 * include/zephyr/kernel.h and toolchain.h. */
#ifndef CONTRACT_KERNEL_H
#define CONTRACT_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define __aligned(bytes) __attribute__((aligned(bytes)))
#define __noinit __attribute__((section(".noinit")))

uint32_t k_uptime_get_32(void);
int32_t k_msleep(int32_t ms);

#endif
