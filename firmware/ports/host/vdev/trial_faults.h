/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults inside the model while a pack is on trial: golden vectors that fail, and a crash. The device's engines are
 * replaced by wrappers that check for such a fault and then call the real engine.
 */
#ifndef TINYFLEET_VDEV_TRIAL_FAULTS_H
#define TINYFLEET_VDEV_TRIAL_FAULTS_H

#include "faults.h"
#include "host_agent.h"

/* Replace the engines. Call before the first boot. */
void trial_faults_wrap(struct host_device *host);

/* Call before every call of the agent: an engine can't see which device runs it. */
void trial_faults_select(struct host_device *host, const struct faults *faults);

#endif
