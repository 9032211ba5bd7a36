/* SPDX-License-Identifier: Apache-2.0 */
/* What the module uses of Zephyr, declared again by hand: names, types and order of arguments as in zephyrproject-rtos/zephyr
 * 684a78a2, include/zephyr/sys/ring_buffer.h. */
#ifndef CONTRACT_RING_BUFFER_H
#define CONTRACT_RING_BUFFER_H

#include <stdint.h>

struct ring_buf {
    uint8_t *buffer;
    uint32_t size, head, tail;
};

#define RING_BUF_DECLARE(name, size8)  \
    static uint8_t name##_data[size8]; \
    struct ring_buf name = { name##_data, size8, 0, 0 }

uint32_t ring_buf_put(struct ring_buf *buf, const uint8_t *data, uint32_t size);
uint32_t ring_buf_get(struct ring_buf *buf, uint8_t *data, uint32_t size);

#endif
