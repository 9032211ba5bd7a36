/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"
#include "target.h"

const uintptr_t target_request = 0x21000000; /* PSRAM, 16 MB */

/* With -icount shift=5 an instruction takes 32 ns and a tick of the 25 MHz counter is 40 ns. */
uint32_t target_instructions(void)
{
    return (uint32_t)((uint64_t)board_counter() * 5u / 4u);
}
