/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyfleet.h"

const struct tf_engine *const tinyfleet_all_engines[] = { &tf_engine_threshold, &tf_engine_network, &tf_engine_forest, NULL };
