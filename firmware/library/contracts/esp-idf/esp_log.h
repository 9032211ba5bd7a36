/* SPDX-License-Identifier: Apache-2.0 */
/* What the component uses of ESP-IDF, declared again by hand: names, types and order of arguments as in espressif/esp-idf
 * components/log/include/esp_log.h. */
#ifndef CONTRACT_ESP_LOG_H
#define CONTRACT_ESP_LOG_H

void contract_log(const char *tag, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define ESP_LOGW(tag, ...) contract_log(tag, __VA_ARGS__)

#endif
