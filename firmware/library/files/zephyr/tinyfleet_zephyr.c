/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyfleet_zephyr.h"

#include <zephyr/drivers/flash.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/reboot.h>
#include <zephyr/sys/ring_buffer.h>
#include <zephyr/task_wdt/task_wdt.h>

#define NOTE 0xFA017EEDu
#define RECEIVED_BYTES 2048 /* a whole frame, while a unit of flash is erased */

RING_BUF_DECLARE(tinyfleet_received, RECEIVED_BYTES);
static const struct device *line_uart;
static __noinit volatile uint32_t note;

static int read_flash(void *ctx, uint32_t offset, void *buffer, size_t length)
{
    const struct tinyfleet_zephyr *node = ctx;

    return flash_area_read(node->area, (off_t)offset, buffer, length);
}

static int write_flash(void *ctx, uint32_t offset, const void *data, size_t length)
{
    const struct tinyfleet_zephyr *node = ctx;

    return flash_area_write(node->area, (off_t)offset, data, length);
}

static int erase_flash(void *ctx, uint32_t offset, size_t length)
{
    const struct tinyfleet_zephyr *node = ctx;

    return flash_area_erase(node->area, (off_t)offset, length);
}

static const uint8_t *map_flash(void *ctx, uint32_t offset, size_t length)
{
    const struct tinyfleet_zephyr *node = ctx;

    return offset <= node->area->fa_size && length <= node->area->fa_size - offset ? node->mapped + offset : NULL;
}

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return k_uptime_get_32();
}

static void restart(void *ctx)
{
    (void)ctx;
    sys_reboot(SYS_REBOOT_COLD);
}

static void watchdog_kick(void *ctx)
{
    const struct tinyfleet_zephyr *node = ctx;

    (void)task_wdt_feed(node->watchdog);
}

static int was_fault(void *ctx)
{
    const int was = note == NOTE;

    (void)ctx;
    note = 0;
    return was;
}

void tinyfleet_zephyr_leave_note(void)
{
    note = NOTE;
}

static void hangs(int channel, void *ctx)
{
    (void)channel;
    (void)ctx;
    tinyfleet_zephyr_leave_note();
    sys_reboot(SYS_REBOOT_COLD);
}

int tinyfleet_zephyr_start(struct tinyfleet_zephyr *node, uint8_t area_id, const uint8_t *address, struct tinyfleet_port port)
{
    struct flash_pages_info page;
    int result = flash_area_open(area_id, &node->area);

    if (result == 0) {
        result = flash_get_page_info_by_offs(flash_area_get_device(node->area), node->area->fa_off, &page);
    }
    if (result == 0) {
        node->watchdog = task_wdt_add(CONFIG_TINYFLEET_WATCHDOG_MS, hangs, NULL);
        result = node->watchdog < 0 ? node->watchdog : 0;
    }
    if (result != 0) {
        return result;
    }
    node->mapped = address;
    port.ctx = node;
    port.flash.bytes = (uint32_t)node->area->fa_size;
    port.flash.erase_bytes = (uint32_t)page.size;
    port.flash.write_bytes = flash_area_align(node->area);
    port.flash_read = read_flash;
    port.flash_write = write_flash;
    port.flash_erase = erase_flash;
    port.flash_map = map_flash;
    port.now_ms = now_ms;
    port.restart = restart;
    port.watchdog_kick = watchdog_kick;
    port.was_fault = was_fault;
    return tinyfleet_init(&node->device, &port);
}

static void on_uart(const struct device *uart, void *ctx)
{
    uint8_t bytes[32];

    (void)ctx;
    while (uart_irq_update(uart) && uart_irq_rx_ready(uart)) {
        const int count = uart_fifo_read(uart, bytes, sizeof bytes);

        if (count <= 0) {
            return;
        }
        (void)ring_buf_put(&tinyfleet_received, bytes, (uint32_t)count); /* what does not fit is lost, and sent again */
    }
}

static void write_line(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        uart_poll_out(line_uart, bytes[i]);
    }
}

int tinyfleet_zephyr_serial(struct tinyfleet_zephyr *node, const struct device *uart)
{
    line_uart = uart;
    tinyfleet_line_init(&node->line, write_line);
    const int result = uart_irq_callback_user_data_set(uart, on_uart, NULL);

    if (result == 0) {
        uart_irq_rx_enable(uart);
    }
    return result;
}

bool tinyfleet_zephyr_poll(struct tinyfleet_zephyr *node)
{
    uint8_t byte;

    (void)task_wdt_feed(node->watchdog);
    while (line_uart != NULL && ring_buf_get(&tinyfleet_received, &byte, 1) == 1) {
        tinyfleet_line_byte(&node->device, &node->line, byte);
    }
    return tinyfleet_poll(&node->device);
}
