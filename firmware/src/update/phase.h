/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine of an update: which event may follow which phase. tf_phase_advance() is the only function that
 * changes the phase, and it commits: set everything that belongs to the same change in the state before calling it.
 */
#ifndef TF_UPDATE_PHASE_H
#define TF_UPDATE_PHASE_H

#include "store/state.h"

enum tf_event {
    TF_EVENT_OPENED,    /* an accepted envelope needs blocks */
    TF_EVENT_ABANDONED, /* an open transfer is given up for another one */
    TF_EVENT_ACTIVATED, /* an accepted envelope names a pack that the device already has */
    TF_EVENT_STAGED,    /* the pack is complete, its digest right, its structure checked */
    TF_EVENT_STARTED,   /* the device started with a staged pack */
    TF_EVENT_PASSED,    /* the trial passed */
    TF_EVENT_FAILED,    /* the trial, or the check of a complete pack, failed */
};

TF_MUST_CHECK bool tf_phase_allows(const struct tf_agent *agent, enum tf_event event);

/* Enter the next phase and commit the state with all changes that the caller made. TF_ERR_BUSY: not allowed in this phase. */
TF_MUST_CHECK int tf_phase_advance(struct tf_agent *agent, enum tf_event event);

#endif
