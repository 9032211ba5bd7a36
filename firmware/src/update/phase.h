/* SPDX-License-Identifier: Apache-2.0 */
/* The update's state machine: which event may follow which phase, and the one place where a phase is committed. */
#ifndef TF_PHASE_H
#define TF_PHASE_H

#include "tinyfleet/agent.h"

enum tf_event {
    TF_EVENT_OPENED,  /* an accepted order needs blocks */
    TF_EVENT_CLOSED,  /* an open transfer is given up for another one */
    TF_EVENT_HELD,    /* an accepted order names a pack that lies here already */
    TF_EVENT_WHOLE,   /* the pack is here, its digest right, its structure checked */
    TF_EVENT_STARTED, /* the device started with a staged pack */
    TF_EVENT_PASSED,  /* the trial */
    TF_EVENT_FAILED,  /* the trial, or the check of a whole pack */
};

TF_MUST_CHECK bool tf_phase_allows(const struct tf_agent *agent, enum tf_event event);

/* Go to the next phase and commit the state, with all that the caller changed in it before. TF_ERR_BUSY: not from here. */
TF_MUST_CHECK int tf_phase_advance(struct tf_agent *agent, enum tf_event event);

#endif
