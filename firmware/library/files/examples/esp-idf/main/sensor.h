/* SPDX-License-Identifier: Apache-2.0 */
/* Your driver. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fill a window of this many bytes. False: none is complete yet. */
bool sensor_read(uint8_t *window, size_t length);
