/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: file descriptors (epoll), timers (a heap), and a queue of callbacks for the next round. */
#ifndef TINYFLEET_VDEV_LOOP_H
#define TINYFLEET_VDEV_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Calls ready() when a descriptor is ready. Part of the owner's struct, which must not move while it is watched. */
struct loop_watch {
    int fd;
    void (*ready)(void *owner, uint32_t events);
    void *owner;
};

/* Calls fire() once when it is due. Part of the owner's struct; `position` belongs to the loop, 0: not set. */
struct loop_timer {
    uint64_t due_ms;
    void (*fire)(void *owner);
    void *owner;
    size_t position;
};

/* Calls take() in the next round. Part of the owner's struct. */
struct loop_turn {
    void (*take)(void *owner);
    void *owner;
    struct loop_turn *next;
    bool queued;
};

/* Ends the process with a message when the system is out of descriptors or memory. */
void loop_open(void);
void loop_close(void);
/* Runs until loop_stop(). */
void loop_run(void);
void loop_stop(void);

/* Milliseconds from loop_open() to the start of this round. */
uint64_t loop_now_ms(void);

void loop_watch(struct loop_watch *watch, uint32_t events);
void loop_change(struct loop_watch *watch, uint32_t events);
void loop_forget(struct loop_watch *watch);
/* Set the timer, or reset it. */
void loop_after(struct loop_timer *timer, uint64_t ms);
void loop_cancel(struct loop_timer *timer);
void loop_soon(struct loop_turn *turn);

#endif
