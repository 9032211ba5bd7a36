/* SPDX-License-Identifier: Apache-2.0 */
/* The model that runs: verify it, check it, open it, set its parameters. */
#ifndef TF_MODEL_MODEL_H
#define TF_MODEL_MODEL_H

#include "store/state.h"

/* A pack in flash that may be run. */
struct tf_candidate {
    uint8_t slot_id;
    uint32_t offset;
    uint32_t size;
    const uint8_t *digest;
};

/* The pack in a slot, as the journal or the provisioned region describes it. Nothing is verified. */
TF_MUST_CHECK struct tf_candidate tf_model_at(struct tf_agent *agent, uint8_t slot_id);

/* Verify the envelope (slots A and B), the digest and the structure of the pack in a slot, and open it to run. */
TF_MUST_CHECK int tf_model_start(struct tf_agent *agent, uint8_t slot_id, enum tf_why why);

/* Check the structure of a pack whose digest is right: TF_OK, or why this device can't run it. */
TF_MUST_CHECK int tf_model_check(const struct tf_agent *agent, const struct tf_candidate *candidate);

/* Stop the running model, if any. */
void tf_model_stop(struct tf_agent *agent);

/* Does the running model have these parameters, and are the values in range? TF_OK or TF_ERR_PARAMETER. */
TF_MUST_CHECK int tf_model_accepts(const struct tf_agent *agent, const struct tf_parameter *values, uint8_t count);

/* Apply the pack's default parameters, then the values that were configured for this pack. */
void tf_model_configure(struct tf_agent *agent);

#endif
