/* SPDX-License-Identifier: Apache-2.0 */
/* A firmware of ESP-IDF that watches a vibration sensor, and takes new models from its gateway over MQTT. */
#include "esp_event.h"
#include "esp_log.h"
#include "esp_netif.h"
#include "esp_task_wdt.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "nvs_flash.h"
#include "protocol_examples_common.h"
#include "sensor.h"
#include "tinyfleet_esp_idf.h"

static const char *const TAG = "vibration";

/* From `tinyfleet pki issue device`; the build embeds the files. */
extern const char ca[] asm("_binary_ca_crt_start");
extern const char certificate[] asm("_binary_device_crt_start");
extern const char key[] asm("_binary_device_key_start");

static struct tinyfleet_esp_idf node;
static _Alignas(8) uint8_t arena[32 * 1024]; /* what your largest model needs: `tinyfleet build` shows it */
static _Alignas(4) uint8_t window[4096];

void app_main(void)
{
    const struct tinyfleet_port port = {
        .engines = tinyfleet_all_engines,
        .recorder = &tf_sampling,
        .flash.samples_bytes = 64 * 1024,
        .arena = arena,
        .arena_bytes = sizeof arena,
        .trial_inferences = 1,
    };
    const esp_mqtt_client_config_t mqtt = {
        .broker = { .address.uri = "mqtts://gateway.local:8883", .verification.certificate = ca },
        .credentials.authentication = { .certificate = certificate, .key = key },
    };

    ESP_ERROR_CHECK(nvs_flash_init());
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    ESP_ERROR_CHECK(example_connect()); /* Wi-Fi or Ethernet, as `idf.py menuconfig` says; replace it by your own */
    ESP_ERROR_CHECK(tinyfleet_esp_idf_start(&node, "tinyfleet", port));
    ESP_ERROR_CHECK(tinyfleet_esp_idf_connect(&node, mqtt));
    for (;;) {
        while (tinyfleet_poll(&node.device)) {
            /* an update makes progress */
        }
        const size_t length = tinyfleet_input_bytes(&node.device);
        struct tf_verdict verdict;

        if (length <= sizeof window && sensor_read(window, length)
            && tinyfleet_infer(&node.device, window, length, &verdict) == TF_OK && verdict.decision != 0) {
            ESP_LOGW(TAG, "anomaly, score %d", (int)verdict.score);
        }
        ESP_ERROR_CHECK(esp_task_wdt_reset());
        vTaskDelay(1);
    }
}
