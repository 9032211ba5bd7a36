/* SPDX-License-Identifier: Apache-2.0 */
/* A gateway that leads a device through the steps of a script, message by message as in docs/specs/protocol.md. */
#ifndef TINYFLEET_CAMPAIGN_GATEWAY_H
#define TINYFLEET_CAMPAIGN_GATEWAY_H

#include "simulation.h"

/*
 * Start the device and play all steps from where the world stands to the end of the last part wanted. NULL, or what went
 * wrong.
 */
const char *gateway_play(struct world *world, enum part last);

#endif
