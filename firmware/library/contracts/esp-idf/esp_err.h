/* SPDX-License-Identifier: Apache-2.0 */
/* What the component uses of ESP-IDF, declared again by hand: names, types and order of arguments as in espressif/esp-idf
 * 0bec1976, components/esp_common/include/esp_err.h. Not ESP-IDF: the values of errors other than ESP_OK are of our own. */
#ifndef CONTRACT_ESP_ERR_H
#define CONTRACT_ESP_ERR_H

typedef int esp_err_t;

enum { ESP_OK = 0, ESP_FAIL = -1, ESP_ERR_NO_MEM = 0x101, ESP_ERR_INVALID_SIZE = 0x104, ESP_ERR_NOT_FOUND = 0x105, ESP_ERR_NOT_SUPPORTED = 0x106 };

_Noreturn void contract_check_failed(void);

#define ESP_ERROR_CHECK(expression) \
    do {                            \
        if ((expression) != ESP_OK) \
            contract_check_failed(); \
    } while (0)

#endif
