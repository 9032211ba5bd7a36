/* SPDX-License-Identifier: Apache-2.0 */
/* The exception and interrupt handlers that the vector table (entry.c) points to. */
#ifndef TINYFLEET_PORTS_STM32L4_HANDLERS_H
#define TINYFLEET_PORTS_STM32L4_HANDLERS_H

void nmi_handler(void);
void fault_handler(void);
void uart_receive_handler(void);
void timer_handler(void);

#endif
