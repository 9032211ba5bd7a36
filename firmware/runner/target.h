/* SPDX-License-Identifier: Apache-2.0 */
/* What the runner has to know of an emulated board beside its board.h. */
#ifndef TINYFLEET_RUNNER_TARGET_H
#define TINYFLEET_RUNNER_TARGET_H

#include <stdint.h>

/* Where the emulator puts the request, with megabytes of memory behind it. */
extern const uintptr_t target_request;

/* Instructions so far, modulo 2^32; exact when the emulator counts them (-icount, the shift that the board's file tells). */
uint32_t target_instructions(void);

#endif
