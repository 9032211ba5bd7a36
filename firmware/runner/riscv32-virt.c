/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

const uintptr_t target_request = 0x80400000; /* RAM above everything that the firmware uses */

/* With -icount shift=0. */
uint32_t target_instructions(void)
{
    uint32_t count;
    __asm__ volatile("csrr %0, minstret" : "=r"(count));
    return count;
}
