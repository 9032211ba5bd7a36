/* SPDX-License-Identifier: Apache-2.0 */
/* Replaces stages.c, for devices that run no stages of pipelines. */
#include "stages.h"

#include <stddef.h>

const struct tf_stage_part *const port_stages = NULL;
