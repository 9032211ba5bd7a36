/* SPDX-License-Identifier: Apache-2.0 */
/* A note that survives a reset: a fault or the watchdog's interrupt ended the last run, not power loss or a deliberate restart. */
#ifndef TINYFLEET_PORTS_BARE_FAULT_H
#define TINYFLEET_PORTS_BARE_FAULT_H

#include <stdbool.h>

/* For fault handlers and the watchdog: leave the note. The caller then resets the board. */
void fault_leave_note(void);

/* True once after fault_leave_note(). */
bool fault_take_note(void);

#endif
