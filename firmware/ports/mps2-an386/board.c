/* SPDX-License-Identifier: Apache-2.0 */
/* Clock, UART and watchdog of the MPS2 board with the AN386 image (Cortex-M4 at 25 MHz). */
#include "board.h"

#include "receive_ring.h"
#include "registers.h"
#include "vectors.h"

#define CLOCK_HZ 25000000u
#define TICK_HZ 10u
#define BAUD_RATE 115200u

const uint32_t board_ticks_per_ms = CLOCK_HZ / 1000u;
struct receive_ring receive_ring;

void uart_receive_handler(void)
{
    UART_INTCLEAR = UART_INTCLEAR_RX; /* before draining, or a byte that arrives meanwhile raises no interrupt */
    while ((UART_STATE & UART_STATE_RX_FULL) != 0) {
        if (receive_ring_full()) {
            UART_CTRL = UART_CTRL_TX_ENABLE | UART_CTRL_RX_ENABLE;
            return;
        }
        receive_ring_put((uint8_t)UART_DATA);
    }
}

void timer_handler(void)
{
    TIMER_INTCLEAR = 1;
}

void board_init(void)
{
    UART_BAUDDIV = CLOCK_HZ / BAUD_RATE;
    UART_CTRL = UART_CTRL_TX_ENABLE | UART_CTRL_RX_ENABLE | UART_CTRL_RX_INTERRUPT;
    (void)UART_DATA; /* without one read after enabling, input can hang */
    TIMER_RELOAD = CLOCK_HZ / TICK_HZ;
    TIMER_VALUE = CLOCK_HZ / TICK_HZ;
    TIMER_CTRL = TIMER_CTRL_RUN_WITH_INTERRUPT;
    NVIC_ENABLE = 1u << IRQ_UART_RX | 1u << IRQ_TIMER;
    __asm__ volatile("cpsie i" ::: "memory");
}

uint32_t board_counter(void)
{
    return FPGAIO_COUNTER;
}

void board_watchdog(uint32_t ms)
{
    WATCHDOG_LOCK = WATCHDOG_UNLOCK;
    WATCHDOG_LOAD = ms * (CLOCK_HZ / 1000u);
    WATCHDOG_INTCLEAR = 1;
    WATCHDOG_CONTROL = ms == 0 ? 0 : WATCHDOG_CONTROL_RUN_AND_RESET;
    WATCHDOG_LOCK = 0;
}

bool board_watchdog_fired(void)
{
    return false; /* its interrupt, the non-maskable one, leaves the note */
}

void board_uart_write(const uint8_t *bytes, size_t length)
{
    for (; length > 0; length--) {
        while ((UART_STATE & UART_STATE_TX_FULL) != 0) {
        }
        UART_DATA = *bytes++;
    }
}

void board_uart_resume(void)
{
    if (UART_CTRL == (UART_CTRL_TX_ENABLE | UART_CTRL_RX_ENABLE)) {
        UART_CTRL = UART_CTRL_TX_ENABLE | UART_CTRL_RX_ENABLE | UART_CTRL_RX_INTERRUPT;
        __asm__ volatile("cpsid i" ::: "memory");
        uart_receive_handler(); /* bytes that wait in the UART raise no new interrupt */
        __asm__ volatile("cpsie i" ::: "memory");
    }
}
