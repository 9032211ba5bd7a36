/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of an inference: every anomaly and one in N other windows, as far as there are tokens. */
#ifndef TF_SAMPLES_SAMPLING_H
#define TF_SAMPLES_SAMPLING_H

#include "tinyfleet/samples.h"
#include "tinyfleet/state.h"

/* The value of the running pack's parameter with this name (its FNV-1a), 0 for one below 0; `otherwise` when it has none. */
TF_MUST_CHECK uint32_t tf_parameter_named(const struct tf_agent *agent, uint32_t name, uint32_t otherwise);

/* That of `sample-every`. */
TF_MUST_CHECK uint32_t tf_sample_every(const struct tf_agent *agent);

/* The operations of the part. */
uint32_t tf_sampling_operators(const struct tf_agent *agent);
void tf_sampling_open(struct tf_agent *agent);
void tf_sampling_record(struct tf_agent *agent, const uint8_t *input, size_t length, const struct tf_verdict *verdict);
int tf_sampling_answer(struct tf_agent *agent, const uint8_t *message, size_t length, uint8_t *reply, size_t capacity);

#endif
