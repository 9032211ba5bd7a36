/* SPDX-License-Identifier: Apache-2.0 */
/* The model that runs: verified, checked, opened; its parameters. */
#ifndef TF_MODEL_H
#define TF_MODEL_H

#include "codec/bytes.h"
#include "envelope/envelope.h"
#include "tinyfleet/agent.h"

/* A pack somewhere in flash. */
struct tf_candidate {
    uint8_t place;
    uint32_t offset;
    uint32_t size;
    const uint8_t *digest;
};

/* What lies in a place, as the journal or the provisioned region has it; nothing is verified. */
TF_MUST_CHECK struct tf_candidate tf_model_at(struct tf_agent *agent, uint8_t place);

/* Verify envelope (slots), digest and structure of what lies in this place, and let it run. */
TF_MUST_CHECK int tf_model_start(struct tf_agent *agent, uint8_t place, enum tf_why why);

/* The structure of a pack whose digest is right: TF_OK, or what this device can't run about it. */
TF_MUST_CHECK int tf_model_check(const struct tf_agent *agent, const struct tf_candidate *candidate);

void tf_model_stop(struct tf_agent *agent);

/* Whether the running model has these parameters and takes these values: TF_OK or TF_ERR_PARAMETER. */
TF_MUST_CHECK int tf_model_takes(const struct tf_agent *agent, const struct tf_parameter *values, uint8_t count);

/* Put the values in force: the pack's defaults, and over them what was configured for this pack. */
void tf_model_configure(struct tf_agent *agent);

#endif
