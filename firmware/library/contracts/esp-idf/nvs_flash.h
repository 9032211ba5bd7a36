/* SPDX-License-Identifier: Apache-2.0 */
/* What the component uses of ESP-IDF, declared again by hand: names, types and order of arguments as in espressif/esp-idf
 * components/nvs_flash/include/nvs_flash.h. */
#ifndef CONTRACT_NVS_FLASH_H
#define CONTRACT_NVS_FLASH_H

#include "esp_err.h"

esp_err_t nvs_flash_init(void);

#endif
