/* SPDX-License-Identifier: Apache-2.0 */
/* From the last block to a confirmed model: staging and the trial, in slices. */
#ifndef TF_UPDATE_H
#define TF_UPDATE_H

#include "tinyfleet/agent.h"

/* `stage` for the transfer of this name. TF_END: blocks are missing (answer: have); else the result to answer. */
TF_MUST_CHECK int tf_update_stage(struct tf_agent *agent, uint8_t name);

/* Do a slice of the job under way. Errors of flash are noted in the state; the device goes on. */
void tf_update_slice(struct tf_agent *agent);

/* An inference during a trial: the first ones decide with the golden vectors. */
void tf_update_inferred(struct tf_agent *agent, int error);

/* There is no input to infer from: a trial does not wait for it. */
void tf_update_no_input(struct tf_agent *agent);

/* The trial, or the check of a whole pack, failed: back to what was before; committed. */
TF_MUST_CHECK int tf_update_failed(struct tf_agent *agent, int error);

#endif
