/* SPDX-License-Identifier: Apache-2.0 */
/* The first 16 words of a Cortex-M's vector table, and the handlers in it. A port's entry.c adds the chip's interrupts. */
#ifndef TINYFLEET_PORTS_CORTEX_M_VECTORS_H
#define TINYFLEET_PORTS_CORTEX_M_VECTORS_H

#include <stdint.h>

typedef void (*vector)(void);

struct exception_vectors {
    uint32_t *stack;
    vector start, nmi, others[13];
};

/* A port whose non-maskable interrupt is not a fault has a handler of its own for it. */
#define EXCEPTION_VECTORS(nmi_handler)                                                                                     \
    {                                                                                                                      \
        .stack = board_stack_end, .start = board_start, .nmi = (nmi_handler),                                              \
        .others = {                                                                                                        \
            fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,       \
            fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler                       \
        }                                                                                                                  \
    }

extern uint32_t board_stack_end[];

/* Where the core starts after a reset. */
_Noreturn void board_start(void);
/* Resets the board; the agent then finds an interrupted trial and returns to the model that worked. */
void fault_handler(void);

/* Of the port. */
void uart_receive_handler(void);
void timer_handler(void);

#endif
