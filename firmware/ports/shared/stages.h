/* SPDX-License-Identifier: Apache-2.0 */
/* The part that runs stages of pipelines, for tf_agent_run_stages(), or NULL on a device that runs none. */
#ifndef TINYFLEET_PORTS_SHARED_STAGES_H
#define TINYFLEET_PORTS_SHARED_STAGES_H

#include "tinyfleet/stage.h"

extern const struct tf_stage_part *const port_stages;

#endif
