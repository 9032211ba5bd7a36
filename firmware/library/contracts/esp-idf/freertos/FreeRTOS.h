/* SPDX-License-Identifier: Apache-2.0 */
/* What the component uses of ESP-IDF, declared again by hand: names, types and order of arguments as in espressif/esp-idf
 * components/freertos. */
#ifndef CONTRACT_FREERTOS_H
#define CONTRACT_FREERTOS_H

#include <stdint.h>

typedef uint32_t TickType_t;

#endif
