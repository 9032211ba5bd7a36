/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device and what its gateway knows: the real core on the flash model, what the gateway has sent and received, and
 * what must therefore hold after each start. Forking a simulation copies flash and the gateway's knowledge, which is
 * exactly what survives power loss.
 */
#ifndef TINYFLEET_POWERCUT_SIMULATION_H
#define TINYFLEET_POWERCUT_SIMULATION_H

#include "flash_model.h"
#include "script.h"
#include "tinyfleet/agent.h"
#include "tinyfleet/learning.h"

#define FLASH_MAX 131072
#define SAMPLES_MAX 160 /* of one script; their numbers fit a byte */
#define BLOCKS_MAX 128
#define ARENA_BYTES 256
#define DEPTH_MAX 3 /* cuts on one path */

/* One cut of the path that led to a simulation. */
struct cut_point {
    uint64_t operation;
    uint32_t offset;
    uint32_t length;
    bool erases;
    enum flash_cut cut;
    uint32_t seed;
};

/* The current step, and what the gateway knows. */
struct progress {
    uint8_t step;
    bool started;         /* the current step has started */
    bool may_run_new;   /* the device has received everything it needs to run the new model */
    bool completed;          /* the device has reported the result of the offer */
    bool reissued;         /* the offer was made again, with its second envelope */
    uint8_t starts;     /* of ACT_RESTART, ACT_FAULT and ACT_SAMPLE, so far */
    uint8_t samples;    /* complete so far; the next one has this number */
    uint32_t sample_at[SAMPLES_MAX]; /* their offsets in the log */
    uint32_t sample_end; /* never decreases */
    uint32_t generation; /* of the lesson: never decreases */
    uint16_t rows; /* of this lesson that are complete */
    bool grown; /* its forest has decided */
    bool sent[BLOCKS_MAX];
    uint32_t resent;    /* blocks sent again since the last cut */
    uint32_t resent_max;
    uint8_t old[TF_DIGEST_BYTES]; /* what ran before the step */
    int32_t old_parameter;
    uint32_t sequence;  /* none of these four may ever decrease, but the epoch begins again with each root */
    uint32_t epoch;
    uint16_t rotation;
    uint32_t boots;
};

struct simulation {
    const struct script *script;
    struct progress progress;
    struct flash_model flash;
    struct tf_agent agent;
    struct tf_sampler sampler;
    struct tf_learner learner;
    _Alignas(8) uint8_t arena[ARENA_BYTES];
    struct cut_point path[DEPTH_MAX];
    int depth; /* number of cuts so far */
    bool wants_reset;
    bool was_fault;
    uint8_t bytes[FLASH_MAX];
    uint8_t written[FLASH_MAX];
};

/* Called before each write (data) and erase (data is NULL) of flash. */
typedef void sim_watcher(struct simulation *sim, uint32_t offset, const uint8_t *data, size_t length);

/* Set up a factory-new device. NULL, or what is wrong with the script. */
const char *sim_make(struct simulation *sim, const struct script *script, sim_watcher *watcher);

/* The transfer was restarted because flash refused a torn mark that reads FF: blocks sent before it do not count as resent. */
void sim_forget_sent(struct simulation *sim);

/* Copy flash and gateway. The agent of `to` must then be started. */
void sim_fork(struct simulation *to, const struct simulation *from);

const struct step *sim_step(const struct simulation *sim);

/*
 * Start the device, and check what must hold whatever was sent to it. This and the functions below return NULL, or what is
 * wrong.
 */
const char *sim_boot(struct simulation *sim);

/* Start the device, and check also that what runs is what the steps so far may have led to. */
const char *sim_start(struct simulation *sim);

/* Let the agent work until nothing is left to do, including all restarts that it requests. */
const char *sim_settle(struct simulation *sim);

/* Record what must never be undone. */
void sim_note(struct simulation *sim);

/* Check that all complete samples that the log has room for are there, where they were written. */
const char *sim_check_samples(struct simulation *sim);

/* Check that no complete row of the lesson is lost, nor its forest, and that no other forest decides. */
const char *sim_check_lesson(struct simulation *sim);

/* Does the model run that must run at the end of the step? */
bool sim_runs_expected(const struct simulation *sim);

/* Check what must hold when a step is complete. */
const char *sim_check_step(struct simulation *sim);

#endif
