/* SPDX-License-Identifier: Apache-2.0 */
/* The vector table of ports/mps2-an386, with the interrupt of the Ethernet controller. */
#include "lan9118.h"
#include "registers.h"
#include "vectors.h"

__attribute__((section(".vectors"), used)) static const struct {
    struct exception_vectors exceptions;
    vector interrupts[32];
} vectors = {
    .exceptions = EXCEPTION_VECTORS(fault_handler),
    .interrupts = { [IRQ_UART_RX] = uart_receive_handler, [IRQ_TIMER] = timer_handler, [IRQ_ETHERNET] = lan9118_quiet },
};
