/* SPDX-License-Identifier: Apache-2.0 */
/* The vector table, and where the core starts after a reset. */
#include "handlers.h"
#include "registers.h"
#include "start.h"

_Noreturn void board_start(void);
extern uint32_t board_stack_end[];

_Noreturn void board_start(void)
{
    bare_start();
}

typedef void (*vector)(void);

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    vector start, exceptions[14], interrupts[10];
} vectors = {
    .stack = board_stack_end,
    .start = board_start,
    .exceptions = { fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
                    fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
                    fault_handler, fault_handler },
    .interrupts = { [IRQ_UART] = uart_receive_handler, [IRQ_TIMER1] = timer_handler },
};
