/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a firmware that was written for Zephyr as a process of Linux: flash in a file, and a UART that is the socket on standard
 * input and output. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zephyr/drivers/flash.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#include <zephyr/storage/flash_map.h>
#include <zephyr/sys/printk.h>
#include <zephyr/sys/reboot.h>
#include <zephyr/sys/ring_buffer.h>
#include <zephyr/task_wdt/task_wdt.h>

#include "flash_file.h"

#define ERASE_BYTES 4096 /* as of the nRF52840 */
#define WRITE_BYTES 4

struct device {
    char nothing;
};

const struct device contract_tinyfleet_uart;
uintptr_t contract_flash_base;

int firmware_main(void); /* the example's main() */

static struct flash_file flash;
static struct flash_area area;
static char **arguments;
static uart_irq_callback_user_data_t receive;
static uint8_t fifo[32];
static int fifo_filled;
static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;

int flash_area_open(uint8_t id, const struct flash_area **fa)
{
    *fa = &area;
    return id == 1 ? 0 : -2;
}

int flash_area_read(const struct flash_area *fa, off_t off, void *dst, size_t len)
{
    (void)fa;
    memcpy(dst, flash.bytes + off, len);
    return 0;
}

int flash_area_write(const struct flash_area *fa, off_t off, const void *src, size_t len)
{
    (void)fa;
    flash_file_write(&flash, (size_t)off, src, len);
    return 0;
}

int flash_area_erase(const struct flash_area *fa, off_t off, size_t len)
{
    (void)fa;
    flash_file_erase(&flash, (size_t)off, len);
    return 0;
}

uint32_t flash_area_align(const struct flash_area *fa)
{
    (void)fa;
    return WRITE_BYTES;
}

const struct device *flash_area_get_device(const struct flash_area *fa)
{
    return fa->fa_dev;
}

int flash_get_page_info_by_offs(const struct device *dev, off_t offset, struct flash_pages_info *info)
{
    (void)dev;
    *info = (struct flash_pages_info){ .start_offset = offset, .size = ERASE_BYTES };
    return 0;
}

uint32_t k_uptime_get_32(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

int32_t k_msleep(int32_t ms)
{
    (void)usleep((useconds_t)ms * 1000u);
    return 0;
}

void printk(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    (void)vfprintf(stderr, format, list);
    va_end(list);
}

void sys_reboot(int type)
{
    (void)type;
    flash_file_restart(&flash);
    (void)execv(arguments[0], arguments);
    abort();
}

int task_wdt_init(const struct device *hw_wdt)
{
    (void)hw_wdt;
    return 0;
}

int task_wdt_add(uint32_t reload_period, task_wdt_callback_t callback, void *user_data)
{
    (void)reload_period;
    (void)callback;
    (void)user_data;
    return 0;
}

int task_wdt_feed(int channel_id)
{
    (void)alarm(8); /* the process ends when the firmware hangs */
    return channel_id;
}

uint32_t ring_buf_put(struct ring_buf *buf, const uint8_t *data, uint32_t size)
{
    uint32_t put = 0;

    (void)pthread_mutex_lock(&ring_lock);
    for (; put < size && buf->head - buf->tail < buf->size; put++) {
        buf->buffer[buf->head++ % buf->size] = data[put];
    }
    (void)pthread_mutex_unlock(&ring_lock);
    return put;
}

uint32_t ring_buf_get(struct ring_buf *buf, uint8_t *data, uint32_t size)
{
    uint32_t got = 0;

    (void)pthread_mutex_lock(&ring_lock);
    for (; got < size && buf->head != buf->tail; got++) {
        data[got] = buf->buffer[buf->tail++ % buf->size];
    }
    (void)pthread_mutex_unlock(&ring_lock);
    return got;
}

int uart_irq_callback_user_data_set(const struct device *dev, uart_irq_callback_user_data_t cb, void *user_data)
{
    (void)dev;
    (void)user_data;
    receive = cb;
    return 0;
}

/* 32 bytes in 3 ms: a line of 115,200 baud. */
static void *uart(void *nothing)
{
    for (;;) {
        const ssize_t got = read(STDIN_FILENO, fifo, sizeof fifo);

        if (got <= 0) {
            _exit(0); /* the test has ended */
        }
        fifo_filled = (int)got;
        receive(&contract_tinyfleet_uart, NULL);
        (void)usleep((useconds_t)got * 87u);
    }
    return nothing;
}

void uart_irq_rx_enable(const struct device *dev)
{
    pthread_t interrupts;

    (void)dev;
    if (pthread_create(&interrupts, NULL, uart, NULL) != 0) {
        abort();
    }
}

int uart_irq_update(const struct device *dev)
{
    (void)dev;
    return 1;
}

int uart_irq_rx_ready(const struct device *dev)
{
    (void)dev;
    return fifo_filled > 0;
}

int uart_fifo_read(const struct device *dev, uint8_t *rx_data, const int size)
{
    const int count = fifo_filled < size ? fifo_filled : size;

    (void)dev;
    memcpy(rx_data, fifo, (size_t)count);
    fifo_filled = 0;
    return count;
}

void uart_poll_out(const struct device *dev, unsigned char out_char)
{
    (void)dev;
    if (write(STDOUT_FILENO, &out_char, 1) < 0) {
        _exit(0);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    arguments = argv;
    flash_file_open(&flash, ERASE_BYTES, WRITE_BYTES);
    contract_flash_base = (uintptr_t)flash.bytes;
    area = (struct flash_area){ .fa_id = 1, .fa_size = flash.size, .fa_dev = &contract_tinyfleet_uart };
    return firmware_main();
}
