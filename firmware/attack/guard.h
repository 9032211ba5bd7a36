/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent may do to flash, whatever it is sent: write whole records to its journal, marks, copies of a unit to
 * scratch, and the slot that neither runs nor is confirmed, while a transfer is open. Erase no more than the accepted
 * envelopes pay for.
 */
#ifndef TINYFLEET_ATTACK_GUARD_H
#define TINYFLEET_ATTACK_GUARD_H

#include "simulation.h"

struct guard {
    const char *breach; /* the first one */
    uint32_t running;   /* where the running pack is in flash */
    uint8_t confirmed;
    uint32_t sequence; /* of the last accepted envelope */
    uint32_t erased;   /* units since then */
    uint32_t starts;   /* since then */
    uint32_t erased_max; /* for one envelope, without a loss of power */
};

/* Before each flash operation: note a breach. data is NULL for an erase. */
void guard_operation(struct guard *guard, const struct simulation *sim, uint32_t offset, const uint8_t *data, size_t length);

/* After each message and slice of work. */
void guard_note(struct guard *guard, const struct simulation *sim);

/* The device starts, after a loss of power or a reset. */
void guard_start(struct guard *guard);

#endif
