/* SPDX-License-Identifier: Apache-2.0 */
/* What the module uses of Zephyr, declared again by hand: names, types and order of arguments as in zephyrproject-rtos/zephyr
 * include/zephyr/sys/reboot.h. */
#ifndef CONTRACT_REBOOT_H
#define CONTRACT_REBOOT_H

#define SYS_REBOOT_COLD 1

_Noreturn void sys_reboot(int type);

#endif
