/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <stdint.h>

/* Unlikely to be in RAM by chance after power-on. */
#define NOTE 0xFA017EEDu

/* Start-up code does not clear this section. */
__attribute__((section(".noinit"))) static volatile uint32_t note;

void fault_leave_note(void)
{
    note = NOTE;
}

bool fault_take_note(void)
{
    const bool was = note == NOTE;

    note = 0;
    return was;
}
