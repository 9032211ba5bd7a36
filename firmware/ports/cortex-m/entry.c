/* SPDX-License-Identifier: Apache-2.0 */
/* Where every Cortex-M begins: at its start, and after a fault. */
#include "board.h"
#include "fault.h"
#include "start.h"
#include "vectors.h"

_Noreturn void board_start(void)
{
    bare_start();
}

void fault_handler(void)
{
    fault_leave_note();
    board_reset();
}
