/* SPDX-License-Identifier: Apache-2.0 */
/* What the module uses of Zephyr, declared again by hand: names, types and order of arguments as in zephyrproject-rtos/zephyr
 * 00cafdab, include/zephyr/storage/flash_map.h. */
#ifndef CONTRACT_FLASH_MAP_H
#define CONTRACT_FLASH_MAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <zephyr/device.h>

struct flash_area {
    uint8_t fa_id;
    off_t fa_off;
    size_t fa_size;
    const struct device *fa_dev;
};

#define FIXED_PARTITION_ID(label) 1
#define FIXED_PARTITION_OFFSET(label) 0
#define CONFIG_FLASH_BASE_ADDRESS contract_flash_base

extern uintptr_t contract_flash_base;

int flash_area_open(uint8_t id, const struct flash_area **fa);
int flash_area_read(const struct flash_area *fa, off_t off, void *dst, size_t len);
int flash_area_write(const struct flash_area *fa, off_t off, const void *src, size_t len);
int flash_area_erase(const struct flash_area *fa, off_t off, size_t len);
uint32_t flash_area_align(const struct flash_area *fa);
const struct device *flash_area_get_device(const struct flash_area *fa);

#endif
