/* SPDX-License-Identifier: Apache-2.0 */
/* The vector table. */
#include "handlers.h"
#include "registers.h"
#include "vectors.h"

__attribute__((section(".vectors"), used)) static const struct {
    struct exception_vectors exceptions;
    vector interrupts[IRQ_USART2 + 1u];
} vectors = {
    .exceptions = EXCEPTION_VECTORS(nmi_handler),
    .interrupts = { [IRQ_TIM2] = timer_handler, [IRQ_USART2] = uart_receive_handler },
};
