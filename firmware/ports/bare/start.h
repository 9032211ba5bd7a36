/* SPDX-License-Identifier: Apache-2.0 */
/* What the start-up code of every board does before main: lay out memory, paint the stack. */
#ifndef TINYFLEET_PORTS_BARE_START_H
#define TINYFLEET_PORTS_BARE_START_H

#include <stdint.h>

/* The stack is filled with this word at start, so that the deepest use can be read afterwards. */
#define STACK_PAINT 0xC5C5C5C5u

/* Called with the stack pointer at the end of the stack. */
__attribute__((used)) _Noreturn void bare_start(void);

#endif
