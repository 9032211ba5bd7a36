/* SPDX-License-Identifier: Apache-2.0 */
/* The engines that a port passes to tf_agent_init(). */
#ifndef TINYFLEET_PORTS_SHARED_ENGINES_H
#define TINYFLEET_PORTS_SHARED_ENGINES_H

#include "tinyfleet/engine.h"

extern const struct tf_engine *const port_engines[];
extern const size_t port_engine_count;

#endif
