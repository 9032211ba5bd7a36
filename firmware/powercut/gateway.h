/* SPDX-License-Identifier: Apache-2.0 */
/* A gateway that takes a device through the steps of a script, with the messages of docs/specs/protocol.md. */
#ifndef TINYFLEET_POWERCUT_GATEWAY_H
#define TINYFLEET_POWERCUT_GATEWAY_H

#include "simulation.h"

/*
 * Start the device and play all steps from the current one to the end of the given part. NULL, or what went wrong.
 */
const char *gateway_play(struct simulation *sim, enum part last);

#endif
