/* SPDX-License-Identifier: Apache-2.0 */
/* The vector table. */
#include "registers.h"
#include "vectors.h"

__attribute__((section(".vectors"), used)) static const struct {
    struct exception_vectors exceptions;
    vector interrupts[26];
} vectors = {
    .exceptions = EXCEPTION_VECTORS(fault_handler),
    .interrupts = { [IRQ_TIMER_0] = timer_handler, [IRQ_UART0] = uart_receive_handler },
};
