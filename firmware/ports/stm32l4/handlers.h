/* SPDX-License-Identifier: Apache-2.0 */
/* The handler that the vector table (entry.c) points to, besides those of every port (vectors.h). */
#ifndef TINYFLEET_PORTS_STM32L4_HANDLERS_H
#define TINYFLEET_PORTS_STM32L4_HANDLERS_H

void nmi_handler(void);

#endif
