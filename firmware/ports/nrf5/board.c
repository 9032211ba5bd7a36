/* SPDX-License-Identifier: Apache-2.0 */
/* Clock, UART and watchdog of nRF51 and nRF52. Their timers run at 16 MHz, whatever the processor does. */
#include "board.h"

#include "board_config.h"
#include "receive_ring.h"
#include "registers.h"
#include "vectors.h"

#define CLOCK_TIMER 0u
#define CLOCK_PRESCALER 4u /* 1 MHz */
#define TICK_TIMER 1u
#define TICK_PRESCALER 9u /* 31,250 Hz */
#define TICK_COUNT 3125u /* 10 Hz */
#define WATCHDOG_HZ 32768u

const uint32_t board_ticks_per_ms = 1000u;
struct receive_ring receive_ring;

/* While the ring is full, the interrupt is masked and the byte stays in the UART, with its event. */
void uart_receive_handler(void)
{
    while (UART_RXDRDY != 0) {
        if (receive_ring_full()) {
            UART_INTENCLR = UART_INTEN_RXDRDY;
            return;
        }
        UART_RXDRDY = 0; /* before reading: the next byte may be there at once */
        receive_ring_put((uint8_t)UART_RXD);
    }
}

void timer_handler(void)
{
    TIMER_COMPARE(TICK_TIMER) = 0;
}

void board_init(void)
{
    UART_PSELTXD = PIN_TXD;
    UART_PSELRXD = PIN_RXD;
    UART_BAUDRATE = UART_BAUDRATE_115200;
    UART_ENABLE = UART_ENABLE_ENABLED;
    UART_INTENSET = UART_INTEN_RXDRDY;
    UART_STARTRX = 1;
    UART_STARTTX = 1;
    TIMER_BITMODE(CLOCK_TIMER) = TIMER_BITMODE_32;
    TIMER_PRESCALER(CLOCK_TIMER) = CLOCK_PRESCALER;
    TIMER_START(CLOCK_TIMER) = 1;
    TIMER_BITMODE(TICK_TIMER) = TIMER_BITMODE_16;
    TIMER_PRESCALER(TICK_TIMER) = TICK_PRESCALER;
    TIMER_CC(TICK_TIMER) = TICK_COUNT;
    TIMER_SHORTS(TICK_TIMER) = TIMER_SHORTS_COMPARE_CLEAR;
    TIMER_INTENSET(TICK_TIMER) = TIMER_INTEN_COMPARE;
    TIMER_START(TICK_TIMER) = 1;
    NVIC_ENABLE = 1u << IRQ_UART | 1u << IRQ_TIMER1;
    __asm__ volatile("cpsie i" ::: "memory");
}

uint32_t board_counter(void)
{
    TIMER_CAPTURE(CLOCK_TIMER) = 1;
    return TIMER_CC(CLOCK_TIMER);
}

/* Once it runs, its time can't be changed until a reset: that of the first call counts. */
void board_watchdog(uint32_t ms)
{
    if (WATCHDOG_RUNSTATUS == 0) {
        WATCHDOG_CRV = ms * WATCHDOG_HZ / 1000u;
        WATCHDOG_START = 1;
    }
    WATCHDOG_RR = WATCHDOG_RELOAD;
}

bool board_watchdog_fired(void)
{
    const bool fired = (POWER_RESETREAS & POWER_RESETREAS_DOG) != 0;

    POWER_RESETREAS = POWER_RESETREAS_DOG; /* writing a 1 clears it; otherwise it stays until the power is lost */
    return fired;
}

void board_uart_write(const uint8_t *bytes, size_t length)
{
    for (; length > 0; length--) {
        UART_TXDRDY = 0;
        UART_TXD = *bytes++;
        while (UART_TXDRDY == 0) {
        }
    }
}

void board_uart_resume(void)
{
    UART_INTENSET = UART_INTEN_RXDRDY; /* the event of a byte that waits raises the interrupt */
}
