/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a firmware that was written for ESP-IDF as a process of Linux: flash in a file, and each packet of the socket
 * that is standard input and output is a message of MQTT. Like esp-mqtt, it holds one lock while it hands out an event and while it publishes. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "esp_netif.h"
#include "esp_partition.h"
#include "esp_log.h"
#include "esp_system.h"
#include "esp_task_wdt.h"
#include "esp_timer.h"
#include "flash_file.h"
#include "mqtt_client.h"
#include "nvs_flash.h"
#include "protocol_examples_common.h"

#define ERASE_BYTES 4096
#define WRITE_BYTES 4
#define MESSAGE_BYTES 2048

/* The files that the real build embeds. */
const char ca[] __asm__("_binary_ca_crt_start") = "";
const char certificate[] __asm__("_binary_device_crt_start") = "";
const char key[] __asm__("_binary_device_key_start") = "";

struct esp_mqtt_client {
    esp_event_handler_t handler;
    void *arg;
    pthread_mutex_t lock;
};

void app_main(void);

static struct flash_file flash;
static esp_partition_t partition;
static struct esp_mqtt_client only_client;
static char **arguments;

void contract_check_failed(void)
{
    abort();
}

void contract_log(const char *tag, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    (void)fprintf(stderr, "%s: ", tag);
    (void)vfprintf(stderr, format, list);
    (void)fputc('\n', stderr);
    va_end(list);
}

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type, esp_partition_subtype_t subtype, const char *label)
{
    (void)type;
    (void)subtype;
    return strcmp(label, partition.label) == 0 ? &partition : NULL;
}

esp_err_t esp_partition_read(const esp_partition_t *from, size_t src_offset, void *dst, size_t size)
{
    (void)from;
    memcpy(dst, flash.bytes + src_offset, size);
    return ESP_OK;
}

esp_err_t esp_partition_write(const esp_partition_t *to, size_t dst_offset, const void *src, size_t size)
{
    (void)to;
    flash_file_write(&flash, dst_offset, src, size);
    return ESP_OK;
}

esp_err_t esp_partition_erase_range(const esp_partition_t *of, size_t offset, size_t size)
{
    (void)of;
    flash_file_erase(&flash, offset, size);
    return ESP_OK;
}

esp_err_t esp_partition_mmap(const esp_partition_t *of, size_t offset, size_t size, esp_partition_mmap_memory_t memory,
                             const void **out_ptr, esp_partition_mmap_handle_t *out_handle)
{
    (void)of;
    (void)size;
    (void)memory;
    *out_ptr = flash.bytes + offset;
    *out_handle = 1;
    return ESP_OK;
}

void esp_restart(void)
{
    (void)setenv("RESET", "3", 1); /* ESP_RST_SW */
    flash_file_restart(&flash);
    (void)execv(arguments[0], arguments);
    abort();
}

esp_reset_reason_t esp_reset_reason(void)
{
    const char *reason = getenv("RESET");

    return reason != NULL ? (esp_reset_reason_t)atoi(reason) : ESP_RST_POWERON;
}

esp_err_t esp_task_wdt_add(TaskHandle_t task)
{
    (void)task;
    return ESP_OK;
}

esp_err_t esp_task_wdt_reset(void)
{
    (void)alarm(8); /* the process ends when the firmware hangs */
    return ESP_OK;
}

int64_t esp_timer_get_time(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void vTaskDelay(TickType_t ticks)
{
    (void)usleep(ticks * 10000u); /* at 100 Hz, the default of ESP-IDF */
}

esp_err_t esp_event_loop_create_default(void)
{
    return ESP_OK;
}

esp_err_t esp_netif_init(void)
{
    return ESP_OK;
}

esp_err_t nvs_flash_init(void)
{
    return ESP_OK;
}

esp_err_t example_connect(void)
{
    return ESP_OK;
}

static void raise_event(esp_mqtt_event_t event)
{
    (void)pthread_mutex_lock(&only_client.lock);
    only_client.handler(only_client.arg, "MQTT_EVENTS", event.event_id, &event);
    (void)pthread_mutex_unlock(&only_client.lock);
}

static void *mqtt_task(void *nothing)
{
    static char message[MESSAGE_BYTES];

    raise_event((esp_mqtt_event_t){ .event_id = MQTT_EVENT_CONNECTED });
    raise_event((esp_mqtt_event_t){ .event_id = MQTT_EVENT_SUBSCRIBED });
    for (;;) {
        const ssize_t length = read(STDIN_FILENO, message, sizeof message);

        if (length <= 0) {
            _exit(0); /* the test has ended */
        }
        raise_event((esp_mqtt_event_t){ .event_id = MQTT_EVENT_DATA, .data = message, .data_len = (int)length, .total_data_len = (int)length });
    }
    return nothing;
}

esp_mqtt_client_handle_t esp_mqtt_client_init(const esp_mqtt_client_config_t *config)
{
    pthread_mutexattr_t recursive;

    if (config->buffer.size < MESSAGE_BYTES || config->session.last_will.retain != 1) {
        return NULL;
    }
    (void)pthread_mutexattr_init(&recursive);
    (void)pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    (void)pthread_mutex_init(&only_client.lock, &recursive);
    return &only_client;
}

esp_err_t esp_mqtt_client_register_event(esp_mqtt_client_handle_t client, esp_mqtt_event_id_t event,
                                         esp_event_handler_t event_handler, void *event_handler_arg)
{
    (void)event;
    client->handler = event_handler;
    client->arg = event_handler_arg;
    return ESP_OK;
}

esp_err_t esp_mqtt_client_start(esp_mqtt_client_handle_t client)
{
    pthread_t task;

    (void)client;
    return pthread_create(&task, NULL, mqtt_task, NULL) == 0 ? ESP_OK : ESP_FAIL;
}

esp_err_t esp_mqtt_client_stop(esp_mqtt_client_handle_t client)
{
    (void)pthread_mutex_lock(&client->lock);
    return ESP_OK;
}

int esp_mqtt_client_subscribe(esp_mqtt_client_handle_t client, const char *topic, int qos)
{
    (void)client;
    (void)qos;
    return strstr(topic, "/down") != NULL ? 1 : -1;
}

int esp_mqtt_client_publish(esp_mqtt_client_handle_t client, const char *topic, const char *data, int len, int qos, int retain)
{
    (void)qos;
    (void)retain;
    if (strstr(topic, "/up") == NULL) {
        return 1; /* its presence */
    }
    (void)pthread_mutex_lock(&client->lock);
    if (write(STDOUT_FILENO, data, (size_t)len) < 0) {
        _exit(0); /* the test has ended */
    }
    (void)pthread_mutex_unlock(&client->lock);
    return 1;
}

int main(int argc, char **argv)
{
    (void)argc;
    arguments = argv;
    flash_file_open(&flash, ERASE_BYTES, WRITE_BYTES);
    partition = (esp_partition_t){ .size = (uint32_t)flash.size, .erase_size = ERASE_BYTES, .label = "tinyfleet", .encrypted = getenv("ENCRYPTED") != NULL };
    app_main();
    return 0;
}
