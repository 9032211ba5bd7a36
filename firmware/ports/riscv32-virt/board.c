/* SPDX-License-Identifier: Apache-2.0 */
/* Clock, UART, watchdog, sleep and reset of QEMU's virt machine (RV32IMAC, machine mode only). */
#include "board.h"

#include "fault.h"
#include "receive_ring.h"
#include "registers.h"

#define CLOCK_HZ 10000000u
#define TICK_HZ 10u

const uint32_t board_ticks_per_ms = CLOCK_HZ / 1000u;
struct receive_ring receive_ring;

/* The machine has no watchdog: the timer's tick counts this down. */
static volatile uint32_t watchdog_ticks;

void trap_handler(void);

/* The agent then finds an interrupted trial and returns to the model that worked. */
static _Noreturn void fault_reset(void)
{
    fault_leave_note();
    board_reset();
}

static void drain_uart(void)
{
    while ((UART_STATUS & UART_STATUS_RX_READY) != 0) {
        if (receive_ring_full()) {
            UART_INTERRUPTS = 0;
            return;
        }
        receive_ring_put(UART_DATA);
    }
}

/* While the high half says "never", the timer can't fire between the two writes. */
static void set_next_tick(void)
{
    const uint32_t before = MTIME_LOW;
    const uint32_t next = before + CLOCK_HZ / TICK_HZ;
    const uint32_t high = MTIME_HIGH + (next < before ? 1u : 0u);

    MTIMECMP_HIGH = 0xFFFFFFFFu;
    MTIMECMP_LOW = next;
    MTIMECMP_HIGH = high;
}

static void tick(void)
{
    set_next_tick();
    if (watchdog_ticks > 0) {
        watchdog_ticks = watchdog_ticks - 1u;
        if (watchdog_ticks == 0) {
            fault_reset();
        }
    }
}

__attribute__((interrupt("machine"), aligned(4))) void trap_handler(void)
{
    uint32_t cause;

    __asm__ volatile("csrr %0, mcause" : "=r"(cause));
    if (cause == MCAUSE_TIMER) {
        tick();
    } else if (cause == MCAUSE_EXTERNAL) {
        const uint32_t irq = PLIC_CLAIM;

        drain_uart();
        PLIC_CLAIM = irq;
    } else {
        fault_reset();
    }
}

void board_init(void)
{
    UART_LINE = UART_LINE_8N1;
    UART_FIFO = UART_FIFO_ENABLE;
    UART_INTERRUPTS = UART_INTERRUPTS_RX;
    PLIC_PRIORITY(IRQ_UART) = 1;
    PLIC_ENABLE = 1u << IRQ_UART;
    PLIC_THRESHOLD = 0;
    set_next_tick();
    __asm__ volatile("csrw mtvec, %0" ::"r"(trap_handler));
    __asm__ volatile("csrs mie, %0" ::"r"(MIE_TIMER | MIE_EXTERNAL));
    __asm__ volatile("csrs mstatus, %0" ::"r"(MSTATUS_MIE) : "memory");
}

uint32_t board_counter(void)
{
    return MTIME_LOW;
}

void board_sleep(void)
{
    /* with interrupts masked, no byte can arrive unseen between the check and the sleep; a pending one still wakes the core */
    __asm__ volatile("csrc mstatus, %0" ::"r"(MSTATUS_MIE) : "memory");
    if (receive_ring_empty()) {
        __asm__ volatile("wfi" ::: "memory");
    }
    __asm__ volatile("csrs mstatus, %0" ::"r"(MSTATUS_MIE) : "memory");
}

_Noreturn void board_reset(void)
{
    FINISHER = FINISHER_RESET;
    for (;;) {
    }
}

void board_watchdog(uint32_t ms)
{
    watchdog_ticks = ms == 0 ? 0 : 1u + ms * TICK_HZ / 1000u;
}

bool board_watchdog_fired(void)
{
    return false; /* its interrupt leaves the note */
}

void board_uart_write(const uint8_t *bytes, size_t length)
{
    for (; length > 0; length--) {
        while ((UART_STATUS & UART_STATUS_TX_EMPTY) == 0) {
        }
        UART_DATA = *bytes++;
    }
}

void board_uart_resume(void)
{
    UART_INTERRUPTS = UART_INTERRUPTS_RX; /* level triggered: bytes that wait in the UART raise it again */
}
