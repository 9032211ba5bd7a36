/* SPDX-License-Identifier: Apache-2.0 */
/* A sketch for ESP32 boards that watches a vibration sensor on A0, and takes new models over Serial1. The sketch's folder has a
 * partitions.csv with a data partition called tinyfleet, as in examples/esp-idf. */
#include <Arduino.h>
#include <esp_partition.h>
#include <esp_system.h>
#include <tinyfleet.h>

static struct tinyfleet device;
static struct tinyfleet_line line;
static const esp_partition_t *partition;
static const uint8_t *mapped;
alignas(8) static uint8_t arena[32 * 1024]; /* what your largest model needs: `tinyfleet build` shows it */
alignas(4) static uint8_t window[1024];
static bool started;

static int flash_write(void *, uint32_t offset, const void *data, size_t length)
{
    return esp_partition_write(partition, offset, data, length) == ESP_OK ? 0 : -1;
}

static int flash_erase(void *, uint32_t offset, size_t length)
{
    return esp_partition_erase_range(partition, offset, length) == ESP_OK ? 0 : -1;
}

static const uint8_t *flash_map(void *, uint32_t offset, size_t)
{
    return mapped + offset;
}

static uint32_t now_ms(void *)
{
    return millis();
}

static void restart(void *)
{
    Serial1.flush();
    esp_restart();
}

static int was_fault(void *)
{
    const esp_reset_reason_t reason = esp_reset_reason();
    return reason == ESP_RST_PANIC || reason == ESP_RST_INT_WDT || reason == ESP_RST_TASK_WDT || reason == ESP_RST_WDT;
}

static void write_line(const uint8_t *bytes, size_t length)
{
    Serial1.write(bytes, length);
}

void setup()
{
    const void *address = nullptr;
    esp_partition_mmap_handle_t handle;
    Serial1.setRxBufferSize(2048);
    Serial1.begin(115200);
    tinyfleet_line_init(&line, write_line);
    partition = esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, "tinyfleet");
    if (partition == nullptr || partition->encrypted
        || esp_partition_mmap(partition, 0, partition->size, ESP_PARTITION_MMAP_DATA, &address, &handle) != ESP_OK) {
        return;
    }
    mapped = static_cast<const uint8_t *>(address);
    struct tinyfleet_port port = {};
    port.flash.bytes = partition->size;
    port.flash.erase_bytes = partition->erase_size;
    port.flash.write_bytes = 4;
    port.flash_write = flash_write;
    port.flash_erase = flash_erase;
    port.flash_map = flash_map;
    port.now_ms = now_ms;
    port.restart = restart;
    port.was_fault = was_fault;
    port.engines = tinyfleet_all_engines;
    port.arena = arena;
    port.arena_bytes = sizeof arena;
    started = tinyfleet_init(&device, &port) == TF_OK; /* false: not provisioned yet */
}

void loop()
{
    while (started && Serial1.available() > 0) {
        tinyfleet_line_byte(&device, &line, static_cast<uint8_t>(Serial1.read()));
    }
    if (started && !tinyfleet_poll(&device)) {
        const size_t length = tinyfleet_input_bytes(&device);
        struct tf_verdict verdict;
        for (size_t i = 0; i < length && i < sizeof window; i++) {
            window[i] = static_cast<uint8_t>(analogRead(A0) >> 4);
        }
        if (length <= sizeof window && tinyfleet_infer(&device, window, length, &verdict) == TF_OK && verdict.decision != 0) {
            digitalWrite(LED_BUILTIN, HIGH);
        }
    }
}
