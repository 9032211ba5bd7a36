/* SPDX-License-Identifier: Apache-2.0 */
#include "stages.h"

const struct tf_stage_part *const port_stages = &tf_stages;
