/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of an inference: every anomaly and one in N other windows, as far as there are tokens. */
#ifndef TF_SAMPLES_SAMPLING_H
#define TF_SAMPLES_SAMPLING_H

#include "tinyfleet/samples.h"
#include "tinyfleet/state.h"

/* The value of the running pack's parameter `sample-every`, 0 when it has none. */
TF_MUST_CHECK uint32_t tf_sample_every(const struct tf_agent *agent);

/* The operations `open` and `record` of the part. */
void tf_sampling_open(struct tf_agent *agent);
void tf_sampling_record(struct tf_agent *agent, const uint8_t *input, size_t length, const struct tf_verdict *verdict);

#endif
