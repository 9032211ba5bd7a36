/* SPDX-License-Identifier: Apache-2.0 */
/* A note across a reset: that the last run was ended by a fault or the watchdog, not by power or on purpose. */
#ifndef TINYFLEET_PORTS_BARE_FAULT_H
#define TINYFLEET_PORTS_BARE_FAULT_H

#include <stdbool.h>

/* For fault handlers and the watchdog: leave the note, and reset. */
_Noreturn void fault_reset(void);

/* True once after fault_reset(). */
bool fault_take_note(void);

#endif
