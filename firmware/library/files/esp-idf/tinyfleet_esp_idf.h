/* SPDX-License-Identifier: Apache-2.0 */
/* tinyfleet on ESP-IDF 5: flash is a data partition, messages come over esp-mqtt, a model that hangs meets the task watchdog. */
#ifndef TINYFLEET_ESP_IDF_H
#define TINYFLEET_ESP_IDF_H

#include "esp_err.h"
#include "esp_partition.h"
#include "mqtt_client.h"
#include "tinyfleet.h"

/* The longest topic: "tinyfleet/", two names and "/presence". */
#define TINYFLEET_TOPIC_BYTES (TF_NAME_MAX + TF_NAME_MAX + 24)

struct tinyfleet_esp_idf {
    struct tinyfleet device;
    struct tinyfleet_inbox inbox;
    const esp_partition_t *partition;
    const uint8_t *mapped;
    esp_mqtt_client_handle_t client;
    char down[TINYFLEET_TOPIC_BYTES], up[TINYFLEET_TOPIC_BYTES], presence[TINYFLEET_TOPIC_BYTES];
};

/*
 * Start the model that runs. `port` has arena, engines and whatever else suits you; this fills in flash, clock, watchdog and
 * restart. Call it from the task that then calls tinyfleet_poll(). ESP_ERR_NOT_FOUND: there is no data partition `label`.
 * ESP_ERR_NOT_SUPPORTED: it is encrypted, so that erased flash does not read FF. ESP_FAIL: it was never provisioned.
 */
esp_err_t tinyfleet_esp_idf_start(struct tinyfleet_esp_idf *node, const char *label, struct tinyfleet_port port);

/*
 * Connect to the gateway's broker. `config` has the address and the certificates. The buffer, the client identifier and the
 * last will are set here. Call it once, after tinyfleet_esp_idf_start() and when the network is up.
 */
esp_err_t tinyfleet_esp_idf_connect(struct tinyfleet_esp_idf *node, esp_mqtt_client_config_t config);

#endif
