/* SPDX-License-Identifier: Apache-2.0 */
/* What the component uses of ESP-IDF, declared again by hand: names, types and order of arguments as in espressif/esp-idf
 * components/freertos. */
#ifndef CONTRACT_FREERTOS_TASK_H
#define CONTRACT_FREERTOS_TASK_H

#include "freertos/FreeRTOS.h"

typedef struct tskTaskControlBlock *TaskHandle_t;

void vTaskDelay(TickType_t ticks);

#endif
