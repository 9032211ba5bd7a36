/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of tinyfleet-vdev. */
#ifndef TINYFLEET_VDEV_OPTIONS_H
#define TINYFLEET_VDEV_OPTIONS_H

#include "faults.h"
#include "flash_layout.h"
#include "mqtt_link.h"

#define LINES_MAX 64

struct options {
    const char *images;       /* folder of provisioned regions, one file per device */
    const char *flash_folder; /* NULL: keep flash in memory */
    const char *recording;
    const char *control;
    const char *lines[LINES_MAX];
    size_t line_count;
    uint32_t baud;
    const char *line_each; /* pty:FOLDER or unix:FOLDER */
    const char *broker;
    struct mqtt_broker mqtt;
    char *password; /* of the broker's user */
    struct flash_sizes flash;
    uint32_t arena_bytes;
    struct vdev_pace pace;
    uint32_t seed;
    struct faults faults; /* of every device, from the start */
};

/* Ends the process after --help, or with a message when an option is wrong. */
void options_read(struct options *options, int argc, char **argv);
void options_free(struct options *options);

#endif
