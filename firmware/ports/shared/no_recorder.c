/* SPDX-License-Identifier: Apache-2.0 */
/* Replaces recorder.c, for devices that keep no samples. */
#include "recorder.h"

#include <stddef.h>

const struct tf_recorder *const port_recorder = NULL;
struct tf_learner *const port_learner = NULL;
