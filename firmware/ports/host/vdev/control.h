/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: inspect devices and inject faults while they run (--help lists the commands). */
#ifndef TINYFLEET_VDEV_CONTROL_H
#define TINYFLEET_VDEV_CONTROL_H

#include "fleet.h"

/* NULL, or an error message. */
const char *control_open(struct fleet *fleet, const char *path);
void control_close(void);

#endif
