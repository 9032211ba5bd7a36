/* SPDX-License-Identifier: Apache-2.0 */
/* A serial line, as a pty or a Unix socket, with one or more virtual devices that have different addresses. */
#ifndef TINYFLEET_VDEV_SERIAL_LINE_H
#define TINYFLEET_VDEV_SERIAL_LINE_H

#include "device.h"
#include "tinyfleet/frame.h"

#define SERIAL_ADDRESSES 248
/* Room for answers that wait for the line; one device sends at a time, and only when asked. */
#define SERIAL_PENDING_BYTES 4096

struct serial_line {
    struct loop_watch watch;    /* the open end: the pty, or the connection */
    struct loop_watch listener; /* of a Unix socket; fd -1 otherwise */
    struct vdev *devices[SERIAL_ADDRESSES];
    char *path; /* of the socket, or of the link to the pty */
    int keep_open;
    uint32_t baud; /* speed of answers; 0: at once */
    struct loop_timer pace;
    uint64_t paced_until_us;
    size_t pending_bytes;
    uint8_t pending[SERIAL_PENDING_BYTES];
    struct tf_frame_receiver receiver;
    uint8_t buffer[TF_FRAME_BUFFER(TF_MESSAGE_MAX)];
};

/* `where` is pty:PATH or unix:PATH. Creates PATH: for a pty, a symbolic link. NULL, or an error message. */
const char *serial_line_open(struct serial_line *line, const char *where, uint32_t baud);
/* NULL, or an error message: no address, or a duplicate one. */
const char *serial_line_add(struct serial_line *line, struct vdev *device);
void serial_line_close(struct serial_line *line);

#endif
