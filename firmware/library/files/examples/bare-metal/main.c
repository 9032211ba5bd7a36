/* SPDX-License-Identifier: Apache-2.0 */
/* A firmware without an operating system: it watches an accelerometer, and takes new models over its UART. What board.h,
 * fault.h and receive_ring.h declare is yours: drivers for UART and flash, a counter, a watchdog, sleep and reset. */
#include "board.h"
#include "fault.h"
#include "flash_size.h"
#include "receive_ring.h"
#include "tinyfleet.h"

int main(void);
static struct tinyfleet device;
static struct tinyfleet_line line;
static _Alignas(8) uint8_t arena[16 * 1024]; /* what your largest model needs: `tinyfleet build` shows it */
static _Alignas(4) uint8_t window[4096];

static int flash_write(void *ctx, uint32_t offset, const void *data, size_t length)
{
    (void)ctx;
    return board_flash_program(offset, data, length);
}

static int flash_erase(void *ctx, uint32_t offset, size_t length)
{
    (void)ctx;
    return board_flash_erase(offset, length);
}

static const uint8_t *flash_map(void *ctx, uint32_t offset, size_t length)
{
    (void)ctx;
    return board_flash_map(offset, length);
}

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    static uint32_t ms, ticks;
    const uint32_t passed = (board_counter() - ticks) / board_ticks_per_ms;

    ms += passed;
    ticks += passed * board_ticks_per_ms;
    return ms;
}

static void restart(void *ctx)
{
    (void)ctx;
    board_reset();
}

static void watchdog_kick(void *ctx)
{
    (void)ctx;
    board_watchdog(8000);
}

static int was_fault(void *ctx)
{
    (void)ctx;
    return fault_take_note();
}

/* Your sensor: here a sawtooth. */
static size_t read_sensor(size_t length)
{
    for (size_t i = 0; i < sizeof window; i++) {
        window[i] = (uint8_t)(i % 16u);
    }
    return length < sizeof window ? length : sizeof window;
}

int main(void)
{
    const struct tinyfleet_port port = {
        .flash = { .bytes = BOARD_FLASH_BYTES, .erase_bytes = BOARD_ERASE_BYTES, .write_bytes = BOARD_WRITE_BYTES },
        .flash_write = flash_write, .flash_erase = flash_erase, .flash_map = flash_map,
        .now_ms = now_ms, .restart = restart, .watchdog_kick = watchdog_kick, .was_fault = was_fault,
        .engines = tinyfleet_all_engines, .arena = arena, .arena_bytes = sizeof arena, .trial_inferences = 1,
    };
    const bool started = tinyfleet_init(&device, &port) >= 0; /* false: not provisioned yet */
    tinyfleet_line_init(&line, board_uart_write);
    for (;;) {
        while (started && !receive_ring_empty()) {
            tinyfleet_line_byte(&device, &line, receive_ring_take());
            board_uart_resume();
        }
        if (started && tinyfleet_poll(&device)) {
            continue;
        }
        const size_t length = read_sensor(tinyfleet_input_bytes(&device));
        struct tf_verdict verdict;

        if (tinyfleet_infer(&device, window, length, &verdict) == TF_OK) {
            /* an anomaly if verdict.decision is not 0 */
        }
        watchdog_kick(NULL);
        board_sleep(); /* until a byte arrives, or for a tenth of a second */
    }
}
