/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device and its gateway, as far as the campaign needs them: the real core on the flash model, what the gateway has
 * given and heard, and what must therefore hold after each start. A world is forked by copying its flash and what its
 * gateway knows: just what survives power loss.
 */
#ifndef TINYFLEET_CAMPAIGN_WORLD_H
#define TINYFLEET_CAMPAIGN_WORLD_H

#include "flash_model.h"
#include "script.h"
#include "tinyfleet/agent.h"

#define FLASH_MAX 65536
#define BLOCKS_MAX 128
#define DEPTH_MAX 3 /* cuts on one path */

/* One place on the path of cuts that led to a world. */
struct place_of_cut {
    uint64_t operation;
    uint32_t offset;
    uint32_t length;
    bool erases;
    enum flash_cut cut;
    uint32_t seed;
};

/* Where the campaign stands, and what the gateway knows. */
struct progress {
    uint8_t step;
    bool begun;         /* the step */
    bool may_run_new;   /* the device was given all of the order */
    bool over;          /* the device has told the order's result */
    bool again;         /* the order's second envelope is the one in force */
    uint8_t starts;     /* of ACT_START and ACT_FAULT, so far */
    bool sent[BLOCKS_MAX];
    uint32_t resent;    /* blocks sent again since the last cut */
    uint32_t resent_max;
    uint8_t old[TF_DIGEST_BYTES]; /* what ran before the step */
    int32_t old_parameter;
    uint32_t sequence;  /* each of these may never be less again */
    uint32_t epoch;
    uint32_t boots;
};

struct world {
    const struct script *script;
    struct progress progress;
    struct flash_model flash;
    struct tf_agent agent;
    struct place_of_cut path[DEPTH_MAX];
    int depth; /* cuts that led here */
    bool wants_reset;
    bool was_fault;
    uint8_t bytes[FLASH_MAX];
    uint8_t written[FLASH_MAX];
};

/* What the world calls before each program (data) and erase (data is NULL) of a step whose power may be cut. */
typedef void world_watcher(struct world *world, uint32_t offset, const uint8_t *data, size_t length);

/* A device as it was made. NULL, or what is wrong with the script. */
const char *world_make(struct world *world, const struct script *script, world_watcher *watcher);

/* The transfer began anew, since flash refused a mark that was torn and reads FF: what was sent is not sent again. */
void world_forget_sent(struct world *world);

/* The same flash and gateway; the agent of `to` has to be started. */
void world_fork(struct world *to, const struct world *from);

const struct step *world_step(const struct world *world);

/* Start, and judge what runs. Like all that follow: NULL, or what is wrong. */
const char *world_start(struct world *world);

/* Let the agent work until nothing is left to do, through all the restarts that it asks for. */
const char *world_settle(struct world *world);

/* Remember what may never be taken back. */
void world_note(struct world *world);

/* What shall run at the end of the step does. */
bool world_runs_at_last(const struct world *world);

/* What must hold when a step is over. */
const char *world_step_is_over(struct world *world);

#endif
