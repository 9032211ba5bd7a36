/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that strike inside the model: golden vectors that fail and a crash, while a pack is on trial. The device's
 * engines are replaced by ones that ask first, and then do what the real ones do. */
#ifndef TINYFLEET_VDEV_TRIAL_FAULTS_H
#define TINYFLEET_VDEV_TRIAL_FAULTS_H

#include "host_agent.h"

struct vdev;

void trial_faults_wrap(struct host_device *host);

/* Whose agent is about to run: an engine is not told by its caller. */
void trial_faults_for(struct vdev *device);

#endif
