/* SPDX-License-Identifier: Apache-2.0 */
/* What the component uses of ESP-IDF, declared again by hand: names, types and order of arguments as in espressif/esp-idf
 * components/esp_timer/include/esp_timer.h. */
#ifndef CONTRACT_ESP_TIMER_H
#define CONTRACT_ESP_TIMER_H

#include <stdint.h>

int64_t esp_timer_get_time(void);

#endif
