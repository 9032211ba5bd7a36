/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 256

static struct {
    int epoll;
    bool stopped;
    uint64_t began_ms, now_ms;
    struct loop_timer **heap; /* heap[0] is unused: position 0 means that a timer is not set */
    size_t count, room;
    struct loop_turn *first, **last;
} loop;

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

void loop_open(void)
{
    loop.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop.epoll < 0) {
        give_up("epoll");
    }
    loop.began_ms = clock_ms();
    loop.last = &loop.first;
}

void loop_close(void)
{
    close(loop.epoll);
    free(loop.heap);
    loop.heap = NULL;
}

uint64_t loop_now_ms(void)
{
    return loop.now_ms;
}

void loop_stop(void)
{
    loop.stopped = true;
}

static void control_epoll(int operation, struct loop_watch *watch, uint32_t events)
{
    struct epoll_event event = { .events = events, .data = { .ptr = watch } };

    if (epoll_ctl(loop.epoll, operation, watch->fd, &event) != 0) {
        give_up("epoll_ctl");
    }
}

void loop_watch(struct loop_watch *watch, uint32_t events)
{
    control_epoll(EPOLL_CTL_ADD, watch, events);
}

void loop_change(struct loop_watch *watch, uint32_t events)
{
    control_epoll(EPOLL_CTL_MOD, watch, events);
}

void loop_forget(struct loop_watch *watch)
{
    /* closing the descriptor has already removed it from the set */
    if (watch->fd >= 0 && epoll_ctl(loop.epoll, EPOLL_CTL_DEL, watch->fd, NULL) != 0 && errno != EBADF
        && errno != ENOENT) {
        give_up("epoll_ctl");
    }
    watch->fd = -1;
}

static void put(struct loop_timer *timer, size_t position)
{
    loop.heap[position] = timer;
    timer->position = position;
}

static void sift_up(struct loop_timer *timer, size_t position)
{
    while (position > 1 && loop.heap[position / 2]->due_ms > timer->due_ms) {
        put(loop.heap[position / 2], position);
        position /= 2;
    }
    put(timer, position);
}

static void sift_down(struct loop_timer *timer, size_t position)
{
    for (;;) {
        size_t child = position * 2;

        if (child > loop.count) {
            break;
        }
        if (child < loop.count && loop.heap[child + 1]->due_ms < loop.heap[child]->due_ms) {
            child++;
        }
        if (loop.heap[child]->due_ms >= timer->due_ms) {
            break;
        }
        put(loop.heap[child], position);
        position = child;
    }
    put(timer, position);
}

void loop_cancel(struct loop_timer *timer)
{
    const size_t position = timer->position;

    if (position == 0) {
        return;
    }
    struct loop_timer *moved = loop.heap[loop.count--];

    timer->position = 0;
    if (moved != timer) {
        sift_up(moved, position);
        sift_down(moved, moved->position);
    }
}

void loop_after(struct loop_timer *timer, uint64_t ms)
{
    loop_cancel(timer);
    timer->due_ms = loop.now_ms + ms;
    if (loop.count + 1 >= loop.room) {
        loop.room = loop.room == 0 ? 1024 : loop.room * 2;
        loop.heap = realloc(loop.heap, loop.room * sizeof loop.heap[0]);
        if (loop.heap == NULL) {
            give_up("timers");
        }
    }
    sift_up(timer, ++loop.count);
}

void loop_soon(struct loop_turn *turn)
{
    if (turn->queued) {
        return;
    }
    turn->queued = true;
    turn->next = NULL;
    *loop.last = turn;
    loop.last = &turn->next;
}

/* Turns that are queued meanwhile run in the next round, so that they can't starve the descriptors. */
static void take_turns(void)
{
    struct loop_turn *turn = loop.first;

    loop.first = NULL;
    loop.last = &loop.first;
    while (turn != NULL) {
        struct loop_turn *next = turn->next;

        turn->queued = false;
        turn->take(turn->owner);
        turn = next;
    }
}

static void fire_timers(void)
{
    while (loop.count > 0 && loop.heap[1]->due_ms <= loop.now_ms) {
        struct loop_timer *timer = loop.heap[1];

        loop_cancel(timer);
        timer->fire(timer->owner);
    }
}

static int time_to_wait(void)
{
    if (loop.first != NULL) {
        return 0;
    }
    if (loop.count == 0) {
        return -1;
    }
    return loop.heap[1]->due_ms <= loop.now_ms ? 0 : (int)(loop.heap[1]->due_ms - loop.now_ms);
}

void loop_run(void)
{
    struct epoll_event events[EVENTS_AT_ONCE];

    while (!loop.stopped) {
        const int count = epoll_wait(loop.epoll, events, EVENTS_AT_ONCE, time_to_wait());

        if (count < 0 && errno != EINTR) {
            give_up("epoll_wait");
        }
        loop.now_ms = clock_ms() - loop.began_ms;
        for (int i = 0; i < count; i++) {
            struct loop_watch *watch = events[i].data.ptr;

            if (watch->fd >= 0) { /* an earlier callback of this round may have closed it */
                watch->ready(watch->owner, events[i].events);
            }
        }
        fire_timers();
        take_turns();
    }
}
