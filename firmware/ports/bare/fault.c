/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <stdint.h>

#include "board.h"

/* Unlikely to stand in RAM by chance after power-on. */
#define NOTE 0xFA017EEDu

__attribute__((section(".noinit"))) static volatile uint32_t note;

_Noreturn void fault_reset(void)
{
    note = NOTE;
    board_reset();
}

bool fault_take_note(void)
{
    const bool was = note == NOTE;

    note = 0;
    return was;
}
