/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal (docs/specs/flash.md, section 2) makes the state survive power loss, one record at a time.
 * Change journal->record.state in RAM, then commit. If power is lost before the record is complete, the old state holds.
 */
#ifndef TF_STORE_JOURNAL_H
#define TF_STORE_JOURNAL_H

#include "tinyfleet/hal.h"
#include "tinyfleet/state.h"

/* Load the newest state, or an empty one on a device that has none yet. Sets journal->damaged. */
TF_MUST_CHECK int tf_journal_load(struct tf_journal *journal, const struct tf_hal *hal);

/* Write the state in RAM to flash. TF_ERR_JOURNAL: neither sector accepts it; the old state still holds in flash. */
TF_MUST_CHECK int tf_journal_commit(struct tf_journal *journal, const struct tf_hal *hal);

/* Count one start, in RAM and in flash: boots, and trial_boots during a trial. */
TF_MUST_CHECK int tf_journal_tick(struct tf_journal *journal, const struct tf_hal *hal);

#endif
