/* SPDX-License-Identifier: Apache-2.0 */
/* tinyfleet-vdev: many virtual devices in one Linux process. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "control.h"
#include "fleet.h"

static struct loop_watch signals = { .fd = -1 };

static void on_signal(void *owner, uint32_t events)
{
    struct signalfd_siginfo signal;

    (void)owner;
    (void)events;
    if (read(signals.fd, &signal, sizeof signal) == sizeof signal) {
        loop_stop();
    }
}

static void watch_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    signals = (struct loop_watch){ .fd = signalfd(-1, &set, SFD_CLOEXEC), .ready = on_signal };
    loop_watch(&signals, EPOLLIN);
}

/* Thousands of devices need thousands of connections with three descriptors each, since libmosquitto opens its own.
 * Without the privilege to raise the hard limit, use all of it. */
static void raise_descriptor_limit(void)
{
    const struct rlimit plenty = { .rlim_cur = 1u << 20, .rlim_max = 1u << 20 };
    struct rlimit limit;

    if (setrlimit(RLIMIT_NOFILE, &plenty) != 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int complain(const char *wrong)
{
    (void)fprintf(stderr, "tinyfleet-vdev: %s", wrong);
    (void)fprintf(stderr, errno != 0 ? ": %s\n" : "\n", strerror(errno));
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct options options;
    struct fleet fleet;
    int status = EXIT_SUCCESS;

    options_read(&options, argc, argv);
    raise_descriptor_limit();
    loop_open();
    watch_signals();
    errno = 0;
    const char *wrong = fleet_open(&fleet, &options);

    if (wrong == NULL && options.control != NULL) {
        wrong = control_open(&fleet, options.control);
    }
    if (wrong == NULL) {
        (void)printf("tinyfleet-vdev: %zu devices\n", fleet.count);
        (void)fflush(stdout);
        loop_run();
    } else {
        status = complain(wrong);
    }
    control_close();
    fleet_close(&fleet);
    close(signals.fd);
    loop_close();
    options_free(&options);
    return status;
}
