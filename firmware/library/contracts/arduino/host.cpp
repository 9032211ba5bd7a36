/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the sketch as a process of Linux: flash in a file, and a UART that is the socket on standard input and output. */
#include "Arduino.h"

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <poll.h>
#include <unistd.h>

extern "C" {
#include "esp_partition.h"
#include "esp_system.h"
#include "flash_file.h"
}

HardwareSerial Serial1;

static struct flash_file flash;
static esp_partition_t partition;
static char **arguments;

const esp_partition_t *esp_partition_find_first(esp_partition_type_t, esp_partition_subtype_t, const char *label)
{
    return strcmp(label, partition.label) == 0 ? &partition : nullptr;
}

esp_err_t esp_partition_write(const esp_partition_t *, size_t dst_offset, const void *src, size_t size)
{
    flash_file_write(&flash, dst_offset, src, size);
    return ESP_OK;
}

esp_err_t esp_partition_erase_range(const esp_partition_t *, size_t offset, size_t size)
{
    flash_file_erase(&flash, offset, size);
    return ESP_OK;
}

esp_err_t esp_partition_mmap(const esp_partition_t *, size_t offset, size_t, esp_partition_mmap_memory_t, const void **out_ptr,
                             esp_partition_mmap_handle_t *out_handle)
{
    *out_ptr = flash.bytes + offset;
    *out_handle = 1;
    return ESP_OK;
}

esp_reset_reason_t esp_reset_reason()
{
    return ESP_RST_POWERON;
}

void esp_restart()
{
    flash_file_restart(&flash);
    (void)execv(arguments[0], arguments);
    abort();
}

unsigned long millis()
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<unsigned long>(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

int analogRead(uint8_t)
{
    return 2048;
}

void digitalWrite(uint8_t, uint8_t)
{
}

size_t HardwareSerial::setRxBufferSize(size_t bytes)
{
    return bytes;
}

void HardwareSerial::begin(unsigned long)
{
}

int HardwareSerial::available()
{
    struct pollfd in = { STDIN_FILENO, POLLIN, 0 };

    return poll(&in, 1, 1); /* a loop of the sketch takes a millisecond */
}

int HardwareSerial::read()
{
    uint8_t byte;

    if (::read(STDIN_FILENO, &byte, 1) != 1) {
        _exit(0); /* the test has ended */
    }
    return byte;
}

size_t HardwareSerial::write(const uint8_t *bytes, size_t length)
{
    if (::write(STDOUT_FILENO, bytes, length) < 0) {
        _exit(0);
    }
    return length;
}

void HardwareSerial::flush()
{
}

int main(int, char **argv)
{
    arguments = argv;
    flash_file_open(&flash, 4096, 4);
    partition.size = static_cast<uint32_t>(flash.size);
    partition.erase_size = 4096;
    strcpy(partition.label, "tinyfleet");
    setup();
    for (;;) {
        loop();
    }
}
