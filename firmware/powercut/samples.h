/* SPDX-License-Identifier: Apache-2.0 */
/* The samples of a simulation: takes them, and checks after each start that none is lost that was complete. */
#ifndef TINYFLEET_POWERCUT_SAMPLES_H
#define TINYFLEET_POWERCUT_SAMPLES_H

#include "simulation.h"

/* Give the running model windows that it finds anomalous until the step has had its number. NULL, or what is wrong. */
const char *samples_take(struct simulation *sim);

#endif
