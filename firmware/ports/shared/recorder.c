/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder.h"

const struct tf_recorder *const port_recorder = &tf_sampling;
