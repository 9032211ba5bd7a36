/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal (docs/specs/flash.md, section 2): what must survive power loss, committed one record at a time.
 * Change journal->record.state in memory, then commit. Cut before the record is whole, the old state holds.
 */
#ifndef TF_JOURNAL_H
#define TF_JOURNAL_H

#include "tinyfleet/hal.h"
#include "tinyfleet/state.h"

/* Read the newest state; a device that never wrote one gets an empty state. Tells whether records are damaged. */
TF_MUST_CHECK int tf_journal_load(struct tf_journal *journal, const struct tf_hal *hal);

/* Make the state in memory the one that holds. TF_ERR_JOURNAL: neither sector takes it. */
TF_MUST_CHECK int tf_journal_commit(struct tf_journal *journal, const struct tf_hal *hal);

/* Count one start: boots, and trial_boots when on trial; in memory and in flash. */
TF_MUST_CHECK int tf_journal_tick(struct tf_journal *journal, const struct tf_hal *hal);

#endif
