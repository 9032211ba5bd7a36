/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, UART, watchdog and reset of RP2040 with a crystal of 12 MHz: UART0 on GP0 and GP1, RTS on GP3. */
#include "board.h"

#include "receive_ring.h"
#include "registers.h"
#include "vectors.h"

#define CRYSTAL_MHZ 12u
#define CRYSTAL_STARTUP 47u /* in units of 256 cycles: a millisecond */
#define PLL_MULTIPLIER 125u
#define BAUD_INTEGER 67u /* 125 MHz / 16 / 115,200 baud = 67.82 */
#define BAUD_FRACTION 52u /* in units of 1/64 */
#define TICK_US 100000u
#define WATCHDOG_COUNTS_PER_MS 2000u /* it counts twice a microsecond (erratum RP2040-E1) */
#define PIN_TXD 0u
#define PIN_RXD 1u
#define PIN_RTS 3u
#define FIRST_RESETS (RESETS_IO_BANK0 | RESETS_PADS_BANK0 | RESETS_PLL_SYS | RESETS_TIMER)

const uint32_t board_ticks_per_ms = 1000u;
struct receive_ring receive_ring;

/* While the ring is full, the interrupt is masked and bytes stay in the UART, which holds RTS. */
void uart_receive_handler(void)
{
    while ((UART_FR & UART_FR_RXFE) == 0) {
        if (receive_ring_full()) {
            UART_IMSC = 0;
            return;
        }
        receive_ring_put((uint8_t)UART_DR);
    }
}

void timer_handler(void)
{
    TIMER_INTR = 1;
    TIMER_ALARM0 = TIMER_TIMERAWL + TICK_US;
}

static void leave_reset(uint32_t blocks)
{
    RESETS_CLEAR = blocks;
    while ((RESETS_DONE & blocks) != blocks) {
    }
}

/* 125 MHz for the processor and the UART, from the crystal; 1 MHz for the timer and the watchdog. */
static void start_clocks(void)
{
    XOSC_STARTUP = CRYSTAL_STARTUP;
    XOSC_CTRL = XOSC_CTRL_ENABLE_1_15_MHZ;
    while ((XOSC_STATUS & XOSC_STATUS_STABLE) == 0) {
    }
    CLK_SYS_CTRL = CLK_SYS_CTRL_REF; /* while the PLL starts */
    while ((CLK_SYS_SELECTED & CLK_SYS_SELECTED_REF) == 0) {
    }
    CLK_REF_CTRL = CLK_REF_CTRL_XOSC;
    while ((CLK_REF_SELECTED & CLK_REF_SELECTED_XOSC) == 0) {
    }
    WATCHDOG_TICK = WATCHDOG_TICK_ENABLE | CRYSTAL_MHZ;
    leave_reset(FIRST_RESETS);
    PLL_CS = 1; /* divides the crystal by */
    PLL_FBDIV = PLL_MULTIPLIER;
    PLL_PWR_CLEAR = PLL_PWR_VCOPD | PLL_PWR_PD;
    while ((PLL_CS & PLL_CS_LOCK) == 0) {
    }
    PLL_PRIM = PLL_PRIM_DIVIDE_BY(6u, 2u);
    PLL_PWR_CLEAR = PLL_PWR_POSTDIVPD;
    CLK_SYS_CTRL = CLK_SYS_CTRL_PLL_SYS;
    while ((CLK_SYS_SELECTED & CLK_SYS_SELECTED_PLL_SYS) == 0) {
    }
    CLK_PERI_CTRL = CLK_PERI_CTRL_ENABLE;
}

static void start_uart(void)
{
    leave_reset(RESETS_UART0);
    UART_IBRD = BAUD_INTEGER;
    UART_FBRD = BAUD_FRACTION;
    UART_LCR_H = UART_LCR_H_8_BITS_FIFO;
    UART_CR = UART_CR_RUN_WITH_RTS;
    PAD(PIN_RXD) = PAD_INPUT_WITH_PULL_UP; /* otherwise a line that is not connected reads as a break */
    GPIO_CTRL(PIN_TXD) = GPIO_CTRL_UART;
    GPIO_CTRL(PIN_RXD) = GPIO_CTRL_UART;
    GPIO_CTRL(PIN_RTS) = GPIO_CTRL_UART;
    UART_IMSC = UART_IMSC_RECEIVED;
}

void board_init(void)
{
    start_clocks();
    start_uart();
    TIMER_INTE = 1;
    TIMER_ALARM0 = TIMER_TIMERAWL + TICK_US;
    NVIC_ENABLE = 1u << IRQ_TIMER_0 | 1u << IRQ_UART0;
    __asm__ volatile("cpsie i" ::: "memory");
}

uint32_t board_counter(void)
{
    return TIMER_TIMERAWL;
}

/* The reset that a Cortex-M asks for would leave the chip's blocks as they are; the watchdog's does not. */
_Noreturn void board_reset(void)
{
    PSM_WDSEL = PSM_WDSEL_ALL_BUT_OSCILLATORS;
    WATCHDOG_CTRL = WATCHDOG_CTRL_TRIGGER;
    for (;;) {
    }
}

/* At most 8.3 s: the counter has 24 bits. */
void board_watchdog(uint32_t ms)
{
    PSM_WDSEL = PSM_WDSEL_ALL_BUT_OSCILLATORS;
    WATCHDOG_LOAD = ms * WATCHDOG_COUNTS_PER_MS;
    WATCHDOG_CTRL = WATCHDOG_CTRL_ENABLE;
}

/* The register keeps the cause of the last reset only; one that firmware asks for sets another bit. */
bool board_watchdog_fired(void)
{
    return (WATCHDOG_REASON & WATCHDOG_REASON_TIMER) != 0;
}

void board_uart_write(const uint8_t *bytes, size_t length)
{
    for (; length > 0; length--) {
        while ((UART_FR & UART_FR_TXFF) != 0) {
        }
        UART_DR = *bytes++;
    }
}

void board_uart_resume(void)
{
    UART_IMSC = UART_IMSC_RECEIVED; /* bytes that wait raise the interrupt */
}
