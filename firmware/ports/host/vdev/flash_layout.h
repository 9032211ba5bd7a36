/* SPDX-License-Identifier: Apache-2.0 */
/* The flash of a virtual device, in a file or in copy-on-write memory; its layout follows from a few sizes. */
#ifndef TINYFLEET_VDEV_FLASH_LAYOUT_H
#define TINYFLEET_VDEV_FLASH_LAYOUT_H

#include "tinyfleet/hal.h"

struct flash_sizes {
    uint32_t erase_bytes;
    uint32_t write_bytes;
    uint32_t journal_bytes; /* each of the two */
    uint32_t provisioned_bytes;
    uint32_t slot_bytes; /* 0: the devices do not take packs over the air */
    uint32_t samples_bytes; /* each of the two logs; 0: the devices keep no samples */
    uint32_t learning_bytes; /* rows and forest, each; 0: the devices grow no forest */
};

/* The provisioned region at 0, then journals, marks, scratch, slots, sample logs, rows and forest, each rounded up
 * to erase units. */
struct tf_geometry flash_layout(const struct flash_sizes *sizes);
uint32_t flash_layout_bytes(const struct tf_geometry *geometry);

/* Flash in a file. A missing file is created from the image; an existing one is used as it is. NULL with errno set. */
uint8_t *flash_open_file(const char *path, uint32_t bytes, const uint8_t *image, size_t image_bytes);

/* Flash in memory. Only pages that are written, or that differ from those of the first device, cost memory.
 * NULL with errno set. */
uint8_t *flash_open_memory(uint32_t bytes, const uint8_t *image, size_t image_bytes);

#endif
