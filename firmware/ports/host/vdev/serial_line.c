/* SPDX-License-Identifier: Apache-2.0 */
#include "serial_line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "serial_answer.h"

#define READ_BYTES 4096
#define BITS_PER_BYTE 10u
#define PACE_MS 5u

static void hand_over(struct serial_line *line, bool corrected)
{
    const uint8_t address = line->receiver.address;

    if (address == SERIAL_BROADCAST) {
        for (size_t i = 1; i < SERIAL_ADDRESSES; i++) {
            if (line->devices[i] != NULL) {
                vdev_receive(line->devices[i], line->receiver.message, line->receiver.length, corrected, true);
            }
        }
    } else if (address < SERIAL_ADDRESSES && line->devices[address] != NULL) {
        vdev_receive(line->devices[address], line->receiver.message, line->receiver.length, corrected, false);
    }
}

/* The first device with bit errors determines the noise of the line. */
static struct faults *line_faults(struct serial_line *line)
{
    for (size_t i = 1; i < SERIAL_ADDRESSES; i++) {
        if (line->devices[i] != NULL && line->devices[i]->faults.bit_errors > 0.0) {
            return &line->devices[i]->faults;
        }
    }
    return NULL;
}

static void hang_up(struct serial_line *line)
{
    if (line->listener.fd >= 0) { /* another client may connect */
        const int fd = line->watch.fd;

        loop_forget(&line->watch);
        close(fd);
        tf_frame_init(&line->receiver, line->buffer, sizeof line->buffer);
    }
}

static void readable(void *owner, uint32_t events)
{
    struct serial_line *line = owner;
    uint8_t bytes[READ_BYTES];
    const ssize_t count = read(line->watch.fd, bytes, sizeof bytes);

    (void)events;
    if (count <= 0) {
        if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
            hang_up(line);
        }
        return;
    }
    struct faults *noise = line_faults(line);

    if (noise != NULL) {
        faults_flip_bits(noise, bytes, (size_t)count);
    }
    for (ssize_t i = 0; i < count; i++) {
        const enum tf_frame_event event = tf_frame_push(&line->receiver, bytes[i]);

        if (event == TF_FRAME_READY || event == TF_FRAME_CORRECTED) {
            hand_over(line, event == TF_FRAME_CORRECTED);
        }
    }
}

/* What can't be written is lost, as on a line that nobody reads. */
static void write_all(struct serial_line *line, const uint8_t *bytes, size_t count)
{
    while (line->watch.fd >= 0 && count > 0) {
        const ssize_t written = write(line->watch.fd, bytes, count);

        if (written <= 0) {
            return;
        }
        bytes += written;
        count -= (size_t)written;
    }
}

/* Send as many bytes as the speed of the line allows since the last time. */
static void pace(void *owner)
{
    struct serial_line *line = owner;
    const uint64_t allowed = (loop_now_ms() * 1000u - line->paced_until_us) * line->baud / (BITS_PER_BYTE * 1000000u);
    const size_t count = allowed < line->pending_bytes ? (size_t)allowed : line->pending_bytes;

    write_all(line, line->pending, count);
    line->paced_until_us += (uint64_t)count * BITS_PER_BYTE * 1000000u / line->baud;
    line->pending_bytes -= count;
    memmove(line->pending, line->pending + count, line->pending_bytes);
    if (line->pending_bytes > 0) {
        loop_after(&line->pace, PACE_MS);
    }
}

static void queue(struct serial_line *line, const uint8_t *bytes, size_t count)
{
    if (count > sizeof line->pending - line->pending_bytes) {
        return; /* several devices have been sending at once for long: nobody could understand them */
    }
    if (line->pending_bytes == 0) {
        line->paced_until_us = loop_now_ms() * 1000u;
        loop_after(&line->pace, PACE_MS);
    }
    memcpy(line->pending + line->pending_bytes, bytes, count);
    line->pending_bytes += count;
}

static void send_message(struct vdev *device, const uint8_t *message, size_t length)
{
    struct serial_line *line = device->link;
    uint8_t frame[TF_FRAME_ENCODED_MAX(SERIAL_ANSWER_BYTES)];
    const size_t bytes = tf_frame_encode(frame, sizeof frame, vdev_address(device), message, length);

    faults_flip_bits(&device->faults, frame, bytes);
    if (line->baud == 0) {
        write_all(line, frame, bytes);
    } else {
        queue(line, frame, bytes);
    }
}

static const struct vdev_link serial_link = { .send = send_message, .may_send_unsolicited = false };

static void accept_one(void *owner, uint32_t events)
{
    struct serial_line *line = owner;
    const int fd = accept4(line->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0) {
        return;
    }
    hang_up(line);
    line->watch.fd = fd;
    loop_watch(&line->watch, EPOLLIN);
}

static const char *open_socket(struct serial_line *line)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (strlen(line->path) >= sizeof address.sun_path) {
        return "the path of the socket is too long";
    }
    strcpy(address.sun_path, line->path);
    (void)unlink(line->path);
    line->listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (line->listener.fd < 0 || bind(line->listener.fd, (struct sockaddr *)&address, sizeof address) != 0
        || listen(line->listener.fd, 4) != 0) {
        return "can't create the socket";
    }
    loop_watch(&line->listener, EPOLLIN);
    return NULL;
}

static const char *open_pty(struct serial_line *line)
{
    struct termios settings;
    const int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0) {
        return "can't get a pty";
    }
    /* keep one end open, so that a gateway may come and go without breaking the line */
    line->keep_open = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (line->keep_open < 0 || tcgetattr(line->keep_open, &settings) != 0) {
        return "can't open the pty";
    }
    cfmakeraw(&settings);
    (void)unlink(line->path);
    if (tcsetattr(line->keep_open, TCSANOW, &settings) != 0 || symlink(ptsname(fd), line->path) != 0) {
        return "can't create the link to the pty";
    }
    line->watch.fd = fd;
    loop_watch(&line->watch, EPOLLIN);
    return NULL;
}

const char *serial_line_open(struct serial_line *line, const char *where, uint32_t baud)
{
    const char *path = strchr(where, ':');

    *line = (struct serial_line){
        .watch = { .fd = -1, .ready = readable, .owner = line },
        .listener = { .fd = -1, .ready = accept_one, .owner = line },
        .keep_open = -1,
        .baud = baud,
        .pace = { .fire = pace, .owner = line },
    };
    tf_frame_init(&line->receiver, line->buffer, sizeof line->buffer);
    if (path == NULL || path[1] == 0) {
        return "expected pty:PATH or unix:PATH";
    }
    line->path = strdup(path + 1);
    if (line->path == NULL) {
        return "out of memory";
    }
    if (strncmp(where, "pty:", 4) == 0) {
        return open_pty(line);
    }
    return strncmp(where, "unix:", 5) == 0 ? open_socket(line) : "expected pty:PATH or unix:PATH";
}

const char *serial_line_add(struct serial_line *line, struct vdev *device)
{
    const uint8_t address = vdev_address(device);

    if (address == 0 || address >= SERIAL_ADDRESSES) {
        return "a device has no serial address";
    }
    if (line->devices[address] != NULL) {
        return "two devices have the same serial address";
    }
    line->devices[address] = device;
    device->kind = &serial_link;
    device->link = line;
    return NULL;
}

void serial_line_close(struct serial_line *line)
{
    struct loop_watch *const watches[] = { &line->watch, &line->listener };

    for (size_t i = 0; i < 2; i++) {
        const int fd = watches[i]->fd;

        if (fd >= 0) {
            loop_forget(watches[i]);
            close(fd);
        }
    }
    loop_cancel(&line->pace);
    if (line->keep_open >= 0) {
        close(line->keep_open);
    }
    if (line->path != NULL) {
        (void)unlink(line->path);
        free(line->path);
    }
}
