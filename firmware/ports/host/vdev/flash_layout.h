/* SPDX-License-Identifier: Apache-2.0 */
/* The flash of a virtual device: laid out from a few sizes, in a file or in memory that is shared until written. */
#ifndef TINYFLEET_VDEV_FLASH_LAYOUT_H
#define TINYFLEET_VDEV_FLASH_LAYOUT_H

#include "tinyfleet/hal.h"

struct flash_sizes {
    uint32_t erase_bytes;
    uint32_t write_bytes;
    uint32_t journal_bytes; /* each of the two */
    uint32_t provisioned_bytes;
    uint32_t slot_bytes; /* 0: the devices take no packs over the air */
};

/* Provisioned region first, at 0; then journals, marks, scratch, slots; all rounded up to erase units. */
struct tf_geometry flash_layout(const struct flash_sizes *sizes);
uint32_t flash_layout_bytes(const struct tf_geometry *geometry);

/* Flash in a file: made if missing, erased but for the image; an existing one is taken as it is. NULL with errno set. */
uint8_t *flash_open_file(const char *path, uint32_t bytes, const uint8_t *image, size_t image_bytes);

/* Flash in memory: costs only the pages that differ from those of the first device, and those that are written.
 * NULL with errno set. */
uint8_t *flash_open_memory(uint32_t bytes, const uint8_t *image, size_t image_bytes);

#endif
