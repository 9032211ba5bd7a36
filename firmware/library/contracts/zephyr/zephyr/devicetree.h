/* SPDX-License-Identifier: Apache-2.0 */
/* What the module uses of Zephyr, declared again by hand: names, types and order of arguments as in zephyrproject-rtos/zephyr
 * include/zephyr/devicetree.h. */
#ifndef CONTRACT_DEVICETREE_H
#define CONTRACT_DEVICETREE_H

#define DT_ALIAS(alias) (&contract_##alias)

#endif
