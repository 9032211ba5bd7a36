/* SPDX-License-Identifier: Apache-2.0 */
/* UART0, watchdog and reset of ESP32-C3, as its ROM leaves them: 115,200 baud, no interrupts. The UART is polled. */
#include "board.h"

#include "receive_ring.h"
#include "registers.h"

#define UART_FIFO_BYTES 128u
/* 136 kHz; the first stage takes twice as long as the register says (EFUSE_WDT_DELAY_SEL is 0) */
#define WATCHDOG_COUNTS_PER_MS 68u

const uint32_t board_ticks_per_ms = 16000u;
struct receive_ring receive_ring;

static void drain_uart(void)
{
    while (!receive_ring_full() && (UART_STATUS & UART_STATUS_RECEIVED) != 0) {
        receive_ring_put((uint8_t)UART_FIFO);
    }
}

/* The ROM's watchdogs guard the start of firmware only. */
void board_init(void)
{
    TIMG0_WDTWPROTECT = WDT_KEY;
    TIMG0_WDTCONFIG0 = 0;
    TIMG0_WDTWPROTECT = 0;
    RTC_SWD_WPROTECT = RTC_SWD_KEY;
    RTC_SWD_CONF |= RTC_SWD_CONF_FEEDS_ITSELF;
    RTC_SWD_WPROTECT = 0;
}

uint32_t board_counter(void)
{
    SYSTIMER_UNIT0_OP = SYSTIMER_UNIT0_OP_UPDATE;
    while ((SYSTIMER_UNIT0_OP & SYSTIMER_UNIT0_OP_VALID) == 0) {
    }
    return SYSTIMER_UNIT0_VALUE_LO;
}

/* Without interrupts there is nothing to wake up from. */
void board_sleep(void)
{
    drain_uart();
}

_Noreturn void board_reset(void)
{
    ROM_SOFTWARE_RESET();
    for (;;) {
    }
}

void board_watchdog(uint32_t ms)
{
    RTC_WDTWPROTECT = WDT_KEY;
    RTC_WDTCONFIG1 = ms * WATCHDOG_COUNTS_PER_MS;
    RTC_WDTCONFIG0 = RTC_WDTCONFIG0_ENABLE | RTC_WDTCONFIG0_RESET_SYSTEM;
    RTC_WDTFEED = RTC_WDTFEED_FEED;
    RTC_WDTWPROTECT = 0;
    drain_uart(); /* often enough, whatever the firmware is busy with */
}

/* The cause of the last reset stays until the next one. */
bool board_watchdog_fired(void)
{
    return ROM_RTC_GET_RESET_REASON(0) == RESET_REASON_RTC_WATCHDOG;
}

void board_uart_write(const uint8_t *bytes, size_t length)
{
    for (; length > 0; length--) {
        while ((UART_STATUS >> UART_STATUS_TO_SEND_SHIFT & UART_STATUS_TO_SEND) >= UART_FIFO_BYTES - 1u) {
        }
        UART_FIFO = *bytes++;
    }
}

void board_uart_resume(void)
{
    drain_uart();
}
