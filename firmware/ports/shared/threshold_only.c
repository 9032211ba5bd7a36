/* SPDX-License-Identifier: Apache-2.0 */
/* Replaces engines.c: only the built-in kind, for devices that need no more and to measure the agent alone. */
#include "engines.h"

const struct tf_engine *const port_engines[] = { &tf_engine_threshold };
const size_t port_engine_count = sizeof port_engines / sizeof port_engines[0];
