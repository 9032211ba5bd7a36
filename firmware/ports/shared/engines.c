/* SPDX-License-Identifier: Apache-2.0 */
#include "engines.h"

#include "tinyfleet/engine_forest.h"
#include "tinyfleet/engine_network.h"

const struct tf_engine *const port_engines[] = { &tf_engine_threshold, &tf_engine_network, &tf_engine_forest };
const size_t port_engine_count = sizeof port_engines / sizeof port_engines[0];
