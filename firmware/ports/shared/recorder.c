/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder.h"

#include "tinyfleet/learning.h"

static struct tf_learner learner;

const struct tf_recorder *const port_recorder = &tf_learning;
struct tf_learner *const port_learner = &learner;
