/* SPDX-License-Identifier: Apache-2.0 */
/* What a simulation learns: lets it collect and grow, and checks after each start that no row and no forest is lost. */
#ifndef TINYFLEET_POWERCUT_LESSONS_H
#define TINYFLEET_POWERCUT_LESSONS_H

#include "simulation.h"

/* Give the running model windows until it has grown its forest. NULL, or what is wrong. */
const char *lessons_learn(struct simulation *sim);

#endif
