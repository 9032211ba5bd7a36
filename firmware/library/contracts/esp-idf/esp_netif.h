/* SPDX-License-Identifier: Apache-2.0 */
/* What the component uses of ESP-IDF, declared again by hand: names, types and order of arguments as in espressif/esp-idf
 * components/esp_netif/include/esp_netif.h. */
#ifndef CONTRACT_ESP_NETIF_H
#define CONTRACT_ESP_NETIF_H

#include "esp_err.h"

esp_err_t esp_netif_init(void);

#endif
