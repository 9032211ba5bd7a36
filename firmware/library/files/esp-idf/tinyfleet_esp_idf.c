/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyfleet_esp_idf.h"

#include "esp_system.h"
#include "esp_task_wdt.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"

#define WRITE_BYTES 4u
#define QOS 1
#define BUFFER_BYTES 2048 /* a message of TF_MESSAGE_MAX with its topic is one event */
#define FULL_WAITS 50     /* of one tick each, for a place in the inbox; then the message is lost and sent again */

static int read_flash(void *ctx, uint32_t offset, void *buffer, size_t length)
{
    const struct tinyfleet_esp_idf *node = ctx;

    return esp_partition_read(node->partition, offset, buffer, length) == ESP_OK ? 0 : -1;
}

static int write_flash(void *ctx, uint32_t offset, const void *data, size_t length)
{
    const struct tinyfleet_esp_idf *node = ctx;

    return esp_partition_write(node->partition, offset, data, length) == ESP_OK ? 0 : -1;
}

static int erase_flash(void *ctx, uint32_t offset, size_t length)
{
    const struct tinyfleet_esp_idf *node = ctx;

    return esp_partition_erase_range(node->partition, offset, length) == ESP_OK ? 0 : -1;
}

static const uint8_t *map_flash(void *ctx, uint32_t offset, size_t length)
{
    const struct tinyfleet_esp_idf *node = ctx;

    return offset <= node->partition->size && length <= node->partition->size - offset ? node->mapped + offset : NULL;
}

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return (uint32_t)(esp_timer_get_time() / 1000);
}

static void restart(void *ctx)
{
    struct tinyfleet_esp_idf *node = ctx;

    if (node->client != NULL) {
        (void)esp_mqtt_client_stop(node->client); /* closes the connection, or the broker waits for it to time out */
    }
    esp_restart();
}

static void watchdog_kick(void *ctx)
{
    (void)ctx;
    (void)esp_task_wdt_reset();
}

static int was_fault(void *ctx)
{
    (void)ctx;
    switch (esp_reset_reason()) {
    case ESP_RST_PANIC:
    case ESP_RST_INT_WDT:
    case ESP_RST_TASK_WDT:
    case ESP_RST_WDT:
        return 1;
    default:
        return 0;
    }
}

static void send_message(void *ctx, const uint8_t *message, size_t length)
{
    struct tinyfleet_esp_idf *node = ctx;

    if (node->client != NULL) { /* a message that fails is lost, and the gateway asks again */
        (void)esp_mqtt_client_publish(node->client, node->up, (const char *)message, (int)length, QOS, 0);
    }
}

esp_err_t tinyfleet_esp_idf_start(struct tinyfleet_esp_idf *node, const char *label, struct tinyfleet_port port)
{
    const void *mapped = NULL;
    esp_partition_mmap_handle_t handle;

    node->partition = esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, label);
    if (node->partition == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    if (node->partition->encrypted) {
        return ESP_ERR_NOT_SUPPORTED;
    }
    esp_err_t error = esp_partition_mmap(node->partition, 0, node->partition->size, ESP_PARTITION_MMAP_DATA, &mapped, &handle);

    if (error != ESP_OK) {
        return error;
    }
    node->mapped = mapped;
    error = esp_task_wdt_add(NULL);
    if (error != ESP_OK) {
        return error; /* CONFIG_ESP_TASK_WDT_INIT is off */
    }
    port.ctx = node;
    port.flash.bytes = node->partition->size;
    port.flash.erase_bytes = node->partition->erase_size;
    port.flash.write_bytes = WRITE_BYTES;
    port.flash_read = read_flash;
    port.flash_write = write_flash;
    port.flash_erase = erase_flash;
    port.flash_map = map_flash;
    port.now_ms = now_ms;
    port.restart = restart;
    port.watchdog_kick = watchdog_kick;
    port.was_fault = was_fault;
    port.send = send_message;
    port.inbox = &node->inbox;
    return tinyfleet_init(&node->device, &port) == TF_OK ? ESP_OK : ESP_FAIL;
}

/* In the task of the MQTT client. */
static void on_event(void *ctx, esp_event_base_t base, int32_t id, void *data)
{
    struct tinyfleet_esp_idf *node = ctx;
    const esp_mqtt_event_handle_t event = data;

    (void)base;
    if (id == MQTT_EVENT_CONNECTED) {
        (void)esp_mqtt_client_subscribe(node->client, node->down, QOS);
        (void)esp_mqtt_client_publish(node->client, node->presence, "1", 1, QOS, 1);
    } else if (id == MQTT_EVENT_SUBSCRIBED) {
        tinyfleet_connected(&node->inbox);
    } else if (id == MQTT_EVENT_DATA && event->data_len == event->total_data_len) {
        for (int waits = 0; !tinyfleet_post(&node->inbox, event->data, (size_t)event->data_len) && waits < FULL_WAITS; waits++) {
            vTaskDelay(1);
        }
    }
}

esp_err_t tinyfleet_esp_idf_connect(struct tinyfleet_esp_idf *node, esp_mqtt_client_config_t config)
{
    if (tinyfleet_topic(&node->device, "down", node->down, sizeof node->down) == 0
        || tinyfleet_topic(&node->device, "up", node->up, sizeof node->up) == 0
        || tinyfleet_topic(&node->device, "presence", node->presence, sizeof node->presence) == 0) {
        return ESP_ERR_INVALID_SIZE;
    }
    config.credentials.client_id = tf_agent_identity(&node->device.agent)->name;
    config.session.last_will.topic = node->presence;
    config.session.last_will.msg = "0";
    config.session.last_will.msg_len = 1;
    config.session.last_will.qos = QOS;
    config.session.last_will.retain = 1;
    if (config.buffer.size < BUFFER_BYTES) {
        config.buffer.size = BUFFER_BYTES;
    }
    node->client = esp_mqtt_client_init(&config);
    if (node->client == NULL) {
        return ESP_ERR_NO_MEM;
    }
    const esp_err_t error = esp_mqtt_client_register_event(node->client, MQTT_EVENT_ANY, on_event, node);

    return error != ESP_OK ? error : esp_mqtt_client_start(node->client);
}
