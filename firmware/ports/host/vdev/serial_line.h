/* SPDX-License-Identifier: Apache-2.0 */
/* A serial line with one or several virtual devices on it, told apart by their addresses: a pty or a Unix socket. */
#ifndef TINYFLEET_VDEV_SERIAL_LINE_H
#define TINYFLEET_VDEV_SERIAL_LINE_H

#include "device.h"
#include "tinyfleet/frame.h"

#define SERIAL_ADDRESSES 248
/* Answers that wait for the line; one device speaks at a time, and only when asked. */
#define SERIAL_PENDING_BYTES 4096

struct serial_line {
    struct loop_watch watch;    /* the open end: the pty's, or the connection's */
    struct loop_watch listener; /* of a Unix socket; fd -1 otherwise */
    struct vdev *devices[SERIAL_ADDRESSES];
    char *path; /* of the socket, or of the link to the pty */
    int keep_open;
    uint32_t baud; /* how fast answers leave; 0: at once */
    struct loop_timer pace;
    uint64_t paced_until_us;
    size_t pending_bytes;
    uint8_t pending[SERIAL_PENDING_BYTES];
    struct tf_frame_receiver receiver;
    uint8_t buffer[TF_FRAME_BUFFER(TF_MESSAGE_MAX)];
};

/* `where` is pty:PATH or unix:PATH; PATH is made (a pty gets a symbolic link of that name). NULL, or what is wrong. */
const char *serial_line_open(struct serial_line *line, const char *where, uint32_t baud);
/* NULL, or what is wrong: no address, or one that is taken. */
const char *serial_line_add(struct serial_line *line, struct vdev *device);
void serial_line_close(struct serial_line *line);

#endif
