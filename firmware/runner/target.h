/* SPDX-License-Identifier: Apache-2.0 */
/* What the runner needs to know about an emulated board besides its board.h. */
#ifndef TINYFLEET_RUNNER_TARGET_H
#define TINYFLEET_RUNNER_TARGET_H

#include <stdint.h>

/* Where the emulator puts the request; megabytes of free memory follow. */
extern const uintptr_t target_request;

/* Instructions so far, modulo 2^32. Exact when the emulator counts them: -icount, with the shift named in the board's file. */
uint32_t target_instructions(void);

#endif
