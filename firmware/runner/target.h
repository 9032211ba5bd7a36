/* SPDX-License-Identifier: Apache-2.0 */
/* What the runner has to know of an emulated board beside its board.h. */
#ifndef TINYFLEET_RUNNER_PLACE_H
#define TINYFLEET_RUNNER_PLACE_H

#include <stdint.h>

/* Where the emulator puts the request, with megabytes of memory behind it. */
extern const uintptr_t place_request;

/* Instructions so far, modulo 2^32; exact when the emulator counts them (-icount, the shift that the board's file tells). */
uint32_t place_instructions(void);

#endif
