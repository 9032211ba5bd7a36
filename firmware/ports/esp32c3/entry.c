/* SPDX-License-Identifier: Apache-2.0 */
/* The ROM looks for two magic words at the start of flash, and jumps behind them ("direct boot"). */
#include "board.h"
#include "fault.h"
#include "start.h"

#define MAGIC ".word 0xaedb041d, 0xaedb041d\n"

_Noreturn void board_start(void);
void trap_handler(void);

__attribute__((naked, section(".vectors"), used)) _Noreturn void board_start(void)
{
    __asm__ volatile(MAGIC "la sp, board_stack_end\n"
                           "la t0, trap_handler\n"
                           "csrw mtvec, t0\n"
                           "j bare_start");
}

/* Exceptions come to the start of the vector table. Interrupts stay off. The agent then finds an interrupted trial and returns
 * to the model that worked. */
__attribute__((aligned(256), used)) void trap_handler(void)
{
    fault_leave_note();
    board_reset();
}
