/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trial of a new pack: golden vectors first, then the first inferences on real input (hal.h). The pack is then
 * confirmed, or it is rejected and the device restarts into the previous model.
 */
#ifndef TF_UPDATE_TRIAL_H
#define TF_UPDATE_TRIAL_H

#include "store/state.h"

/* The trial, or the check of a complete pack, failed: return to the state before the update, and commit that. */
TF_MUST_CHECK int tf_trial_failed(struct tf_agent *agent, int error);

/* Tell the trial the result of an inference. Does nothing when no trial is watching. */
void tf_trial_inferred(struct tf_agent *agent, int error);

/* There is no input to run inferences on: a trial stops waiting for it. */
void tf_trial_input_missing(struct tf_agent *agent);

/* One slice of TF_JOB_GOLDEN and of TF_JOB_WATCH. */
TF_MUST_CHECK int tf_trial_golden(struct tf_agent *agent);
TF_MUST_CHECK int tf_trial_watch(struct tf_agent *agent);

#endif
