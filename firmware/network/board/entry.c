/* SPDX-License-Identifier: Apache-2.0 */
/* The vector table of ports/mps2-an386, with the interrupt of the Ethernet controller. */
#include "handlers.h"
#include "lan9118.h"
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
    vector exceptions[15];
    vector interrupts[32];
} vectors = {
    .stack = board_stack_end,
    .exceptions = { [0] = board_start, [1] = fault_handler, [2] = fault_handler, [3] = fault_handler, [4] = fault_handler,
                    [5] = fault_handler },
    .interrupts = { [IRQ_UART_RX] = uart_receive_handler, [IRQ_TIMER] = timer_handler, [IRQ_ETHERNET] = lan9118_quiet },
};
