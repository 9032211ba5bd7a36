/* SPDX-License-Identifier: Apache-2.0 */
/* Apart from entry.c: a driver whose interrupt turns out to be a fault calls it, and what begins the firmware calls drivers. */
#include "board.h"
#include "fault.h"
#include "vectors.h"

void fault_handler(void)
{
    fault_leave_note();
    board_reset();
}
