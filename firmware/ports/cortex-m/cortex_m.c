/* SPDX-License-Identifier: Apache-2.0 */
/* How every Cortex-M sleeps and resets itself. */
#include "board.h"
#include "receive_ring.h"

#define SCB_AIRCR (*(volatile uint32_t *)0xE000ED0Cu)
#define SCB_AIRCR_RESET 0x05FA0004u

void board_sleep(void)
{
    /* with interrupts masked, no byte can arrive unseen between the check and the sleep; a pending one still wakes the core */
    __asm__ volatile("cpsid i" ::: "memory");
    if (receive_ring_empty()) {
        __asm__ volatile("wfi" ::: "memory");
    }
    __asm__ volatile("cpsie i" ::: "memory");
}

/* Of a chip that needs more, the port has its own. */
__attribute__((weak)) _Noreturn void board_reset(void)
{
    SCB_AIRCR = SCB_AIRCR_RESET;
    for (;;) {
    }
}
