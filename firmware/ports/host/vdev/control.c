/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_BYTES 40960 /* the longest window in hexadecimal */

static struct {
    struct fleet *fleet;
    const char *path;
    struct loop_watch listener, connection;
    char line[LINE_BYTES];
    size_t filled;
} control = { .listener = { .fd = -1 }, .connection = { .fd = -1 } };

static void say_status(FILE *out, const struct vdev *device)
{
    const struct tf_state *state = vdev_state(device);
    const uint8_t *running = device->alive ? tf_agent_running(&device->host.agent) : NULL;

    (void)fprintf(out, "%s alive=%d phase=%u sequence=%u boots=%u error=%d flags=%u running=", vdev_name(device),
                  device->alive, state->phase, state->sequence, state->boots, state->error, state->flags);
    for (size_t i = 0; running != NULL && i < TF_DIGEST_BYTES; i++) {
        (void)fprintf(out, "%02x", running[i]);
    }
    (void)fprintf(out, " inferences=%u anomalies=%u restarts=%u power_cuts=%u violations=%u operations=%llu",
                  device->host.agent.counters.inferences, device->host.agent.counters.anomalies, device->restarts,
                  device->power_cuts, device->host.flash.violations, (unsigned long long)device->host.flash.operations);
    (void)fprintf(out, " output=%u taken=%u replies=%u reply=%d\n", device->host.builtins.output, device->host.builtins.taken,
                  device->host.builtins.replies, device->host.builtins.code);
}

static const char *do_status(FILE *out, struct vdev *device, const char *rest)
{
    (void)rest;
    say_status(out, device);
    return NULL;
}

static const char *do_restart(FILE *out, struct vdev *device, const char *rest)
{
    (void)out;
    (void)rest;
    vdev_restart(device);
    return NULL;
}

static const char *do_fault(FILE *out, struct vdev *device, const char *rest)
{
    const char *wrong = faults_request(&device->faults, rest);

    (void)out;
    if (wrong == NULL) {
        vdev_faults_changed(device);
    }
    return wrong;
}

/* Read the sensor, and ask for operation 1 with it, as the built-in 3 does when the gateway calls it. */
static const char *do_store(FILE *out, struct vdev *device, const char *rest)
{
    (void)out;
    (void)rest;
    return builtins_store(&device->host.builtins) == TF_OK ? NULL : "an earlier request waits";
}

static const char *do_infer(FILE *out, struct vdev *device, const char *rest)
{
    struct tf_verdict verdict;
    const char *wrong = vdev_infer(device, rest, &verdict);

    if (wrong == NULL) {
        (void)fprintf(out, "%s decision=%d score=%d\n", vdev_name(device), (int)verdict.decision, (int)verdict.score);
    }
    return wrong;
}

static const char *each(FILE *out, const char *name, const char *rest,
                        const char *(*act)(FILE *out, struct vdev *device, const char *rest))
{
    const char *wrong = "no device has this name";

    for (struct vdev *device = fleet_find(control.fleet, name, 0); device != NULL;
         device = fleet_find(control.fleet, name, (size_t)(device - control.fleet->devices) + 1)) {
        wrong = act(out, device, rest);
        if (wrong != NULL) {
            break;
        }
    }
    return wrong;
}

static const char *execute(FILE *out, char *line)
{
    char *rest = NULL;
    const char *command = strtok_r(line, " ", &rest);
    const char *name = strtok_r(NULL, " ", &rest);

    if (command == NULL) {
        return "no command";
    }
    if (strcmp(command, "quit") == 0) {
        loop_stop();
        return NULL;
    }
    if (strcmp(command, "devices") == 0) {
        return each(out, "*", "", do_status);
    }
    if (name == NULL) {
        return "the command needs a device name";
    }
    if (strcmp(command, "status") == 0) {
        return each(out, name, "", do_status);
    }
    if (strcmp(command, "restart") == 0) {
        return each(out, name, "", do_restart);
    }
    if (strcmp(command, "infer") == 0) {
        return each(out, name, rest, do_infer);
    }
    if (strcmp(command, "store") == 0) {
        return each(out, name, "", do_store);
    }
    return strcmp(command, "fault") == 0 ? each(out, name, rest, do_fault) : "unknown command";
}

static void disconnect(void)
{
    const int fd = control.connection.fd;

    loop_forget(&control.connection);
    close(fd);
    control.filled = 0;
}

/* Send the whole answer at once, and close the connection when the client does not read it. */
static void answer(char *line)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (out == NULL) {
        disconnect();
        return;
    }
    const char *wrong = execute(out, line);

    (void)fprintf(out, wrong == NULL ? "ok\n\n" : "error: %s\n\n", wrong);
    fclose(out);
    for (size_t done = 0; done < length;) {
        const ssize_t sent = send(control.connection.fd, text + done, length - done, MSG_NOSIGNAL);

        if (sent <= 0) {
            disconnect();
            break;
        }
        done += (size_t)sent;
    }
    free(text);
}

static void readable(void *owner, uint32_t events)
{
    const ssize_t count =
        read(control.connection.fd, control.line + control.filled, sizeof control.line - 1 - control.filled);
    char *end;

    (void)owner;
    (void)events;
    if (count <= 0) {
        disconnect();
        return;
    }
    control.filled += (size_t)count;
    control.line[control.filled] = 0;
    while (control.connection.fd >= 0 && (end = strchr(control.line, '\n')) != NULL) {
        *end = 0;
        answer(control.line);
        control.filled = strlen(end + 1);
        memmove(control.line, end + 1, control.filled + 1);
    }
    if (control.filled == sizeof control.line - 1) {
        disconnect(); /* no command is this long */
    }
}

static void accept_one(void *owner, uint32_t events)
{
    const int fd = accept4(control.listener.fd, NULL, NULL, SOCK_CLOEXEC);

    (void)owner;
    (void)events;
    if (fd < 0) {
        return;
    }
    if (control.connection.fd >= 0) {
        disconnect();
    }
    control.connection.fd = fd;
    loop_watch(&control.connection, EPOLLIN);
}

const char *control_open(struct fleet *fleet, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof address.sun_path) {
        return "the path of the control socket is too long";
    }
    strcpy(address.sun_path, path);
    control.fleet = fleet;
    control.path = path;
    control.listener = (struct loop_watch){ .fd = -1, .ready = accept_one };
    control.connection = (struct loop_watch){ .fd = -1, .ready = readable };
    (void)unlink(path);
    control.listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (control.listener.fd < 0 || bind(control.listener.fd, (struct sockaddr *)&address, sizeof address) != 0
        || listen(control.listener.fd, 4) != 0) {
        return "can't create the control socket";
    }
    loop_watch(&control.listener, EPOLLIN);
    return NULL;
}

void control_close(void)
{
    if (control.connection.fd >= 0) {
        disconnect();
    }
    if (control.listener.fd >= 0) {
        close(control.listener.fd);
        (void)unlink(control.path);
    }
}
