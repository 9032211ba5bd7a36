/* SPDX-License-Identifier: Apache-2.0 */
/* Where the core starts after a reset. */
#include "start.h"

_Noreturn void board_start(void);

__attribute__((naked, section(".text.start"))) _Noreturn void board_start(void)
{
    __asm__ volatile("la sp, board_stack_end\n"
                     "j bare_start");
}
