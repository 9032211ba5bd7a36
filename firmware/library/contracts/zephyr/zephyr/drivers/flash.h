/* SPDX-License-Identifier: Apache-2.0 */
/* What the module uses of Zephyr, declared again by hand: names, types and order of arguments as in zephyrproject-rtos/zephyr
 * include/zephyr/drivers/flash.h. */
#ifndef CONTRACT_FLASH_H
#define CONTRACT_FLASH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <zephyr/device.h>

struct flash_pages_info {
    off_t start_offset;
    size_t size;
    uint32_t index;
};

int flash_get_page_info_by_offs(const struct device *dev, off_t offset, struct flash_pages_info *info);

#endif
