/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up code of every board: initialise memory, paint the stack, call main. */
#ifndef TINYFLEET_PORTS_BARE_START_H
#define TINYFLEET_PORTS_BARE_START_H

#include <stdint.h>

/* The stack is filled with this word, so that its deepest use can be measured later. */
#define STACK_PAINT 0xC5C5C5C5u

/* Called with the stack pointer at the end of the stack. */
__attribute__((used)) _Noreturn void bare_start(void);

#endif
