/* SPDX-License-Identifier: Apache-2.0 */
/* What the example uses of ESP-IDF, declared again by hand: examples/common_components/protocol_examples_common. */
#ifndef CONTRACT_PROTOCOL_EXAMPLES_COMMON_H
#define CONTRACT_PROTOCOL_EXAMPLES_COMMON_H

#include "esp_err.h"

esp_err_t example_connect(void);

#endif
