/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: look at devices, and make things go wrong, while they run (--help has the commands). */
#ifndef TINYFLEET_VDEV_CONTROL_H
#define TINYFLEET_VDEV_CONTROL_H

#include "fleet.h"

/* NULL, or what is wrong. */
const char *control_open(struct fleet *fleet, const char *path);
void control_close(void);

#endif
