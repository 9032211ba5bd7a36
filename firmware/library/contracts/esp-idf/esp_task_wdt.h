/* SPDX-License-Identifier: Apache-2.0 */
/* What the component uses of ESP-IDF, declared again by hand: names, types and order of arguments as in espressif/esp-idf
 * 1840c485, components/esp_system/include/esp_task_wdt.h. */
#ifndef CONTRACT_ESP_TASK_WDT_H
#define CONTRACT_ESP_TASK_WDT_H

#include "esp_err.h"
#include "freertos/task.h"

esp_err_t esp_task_wdt_add(TaskHandle_t task_handle);
esp_err_t esp_task_wdt_reset(void);

#endif
