/* SPDX-License-Identifier: Apache-2.0 */
/* All virtual devices of this process and their links. */
#ifndef TINYFLEET_VDEV_FLEET_H
#define TINYFLEET_VDEV_FLEET_H

#include "device.h"
#include "options.h"
#include "serial_line.h"

struct fleet {
    struct vdev *devices;
    size_t count;
    struct tf_geometry geometry;
    struct recording recording;
    struct serial_line *lines;
    size_t line_count;
    struct mqtt_link *connections; /* one per device, or NULL */
};

/* Create devices from the images and connect them to their links. NULL, or an error message (with errno where it helps). */
const char *fleet_open(struct fleet *fleet, const struct options *options);
void fleet_close(struct fleet *fleet);

/* The first device from index `from` on with this name, which may be "*". NULL: there are no more. */
struct vdev *fleet_find(struct fleet *fleet, const char *name, size_t from);

#endif
