/* SPDX-License-Identifier: Apache-2.0 */
#include "start.h"

#include "board.h"

/* Set by the linker script. */
extern uint32_t board_data_begin[], board_data_end[], board_bss_begin[], board_bss_end[], board_stack_begin[];
extern const uint32_t board_data_load[];

int main(void);

_Noreturn void bare_start(void)
{
    const uint32_t *from = board_data_load;
    /* stop before the stack frame of this function */
    const uint32_t *here = (const uint32_t *)__builtin_frame_address(0) - 32;

    for (uint32_t *to = board_data_begin; to < board_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = board_bss_begin; to < board_bss_end; to++) {
        *to = 0;
    }
    for (uint32_t *to = board_stack_begin; to < here; to++) {
        *to = STACK_PAINT;
    }
    board_init();
    (void)main();
    board_reset();
}
