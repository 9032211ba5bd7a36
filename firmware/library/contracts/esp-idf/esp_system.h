/* SPDX-License-Identifier: Apache-2.0 */
/* What the component uses of ESP-IDF, declared again by hand: names, types and order of arguments as in espressif/esp-idf
 * 067b1b91, components/esp_system/include/esp_system.h. */
#ifndef CONTRACT_ESP_SYSTEM_H
#define CONTRACT_ESP_SYSTEM_H

typedef enum { ESP_RST_UNKNOWN, ESP_RST_POWERON, ESP_RST_EXT, ESP_RST_SW, ESP_RST_PANIC, ESP_RST_INT_WDT, ESP_RST_TASK_WDT, ESP_RST_WDT } esp_reset_reason_t;

#ifdef __cplusplus
extern "C" {
#endif

_Noreturn void esp_restart(void);
esp_reset_reason_t esp_reset_reason(void);

#ifdef __cplusplus
}
#endif

#endif
