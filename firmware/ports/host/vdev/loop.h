/* SPDX-License-Identifier: Apache-2.0 */
/* One event loop: file descriptors (epoll), timers (a heap), and a queue of those who want to be called again at once. */
#ifndef TINYFLEET_VDEV_LOOP_H
#define TINYFLEET_VDEV_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is called when a descriptor is ready. Lies in the owner's struct and stays there while it is watched. */
struct loop_watch {
    int fd;
    void (*ready)(void *owner, uint32_t events);
    void *owner;
};

/* What is called once when its time has come. Lies in the owner's struct; `place` is the loop's own, 0: not set. */
struct loop_timer {
    uint64_t due_ms;
    void (*fire)(void *owner);
    void *owner;
    size_t place;
};

/* What is called in the next turn. Lies in the owner's struct. */
struct loop_turn {
    void (*take)(void *owner);
    void *owner;
    struct loop_turn *next;
    bool queued;
};

/* Exits the process with a message when the system has no descriptor or memory left. */
void loop_open(void);
void loop_close(void);
/* Until loop_stop(). */
void loop_run(void);
void loop_stop(void);

/* Milliseconds since loop_open(), as of the beginning of this turn. */
uint64_t loop_now_ms(void);

void loop_watch(struct loop_watch *watch, uint32_t events);
void loop_change(struct loop_watch *watch, uint32_t events);
void loop_forget(struct loop_watch *watch);
/* Sets the timer anew if it is set. */
void loop_after(struct loop_timer *timer, uint64_t ms);
void loop_cancel(struct loop_timer *timer);
void loop_soon(struct loop_turn *turn);

#endif
