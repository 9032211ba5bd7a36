/* SPDX-License-Identifier: Apache-2.0 */
/* The exception and interrupt handlers that the vector table (entry.c) points to. */
#ifndef TINYFLEET_PORTS_NRF5_HANDLERS_H
#define TINYFLEET_PORTS_NRF5_HANDLERS_H

void fault_handler(void);
void uart_receive_handler(void);
void timer_handler(void);

#endif
