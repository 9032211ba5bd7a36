/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part that runs a stage of a pipeline (docs/specs/stages.md): a session with the gateway, inputs in, run, outputs out.
 * A port that wants it links src/stage and the engine for networks, provides the memory, and calls tf_agent_run_stages()
 * before tf_agent_boot().
 */
#ifndef TINYFLEET_STAGE_H
#define TINYFLEET_STAGE_H

#include "tinyfleet/engine.h"
#include "tinyfleet/session_state.h"

struct tf_agent;

enum tf_stage_phase {
    TF_STAGE_CLOSED = 0,  /* no session */
    TF_STAGE_DONE = 1,    /* the outputs of the last input are in the arena, if there was one */
    TF_STAGE_FILLING = 2, /* a part of an input is in the arena */
    TF_STAGE_READY = 3,   /* all of it is, and the model has not run yet */
};

/* The caller provides the memory; the fields belong to the part. A restart begins with all of it zero. */
struct tf_stage {
    struct tf_session session;
    uint32_t seq;    /* of the input */
    uint32_t filled; /* bytes of it that are in the arena */
    struct tf_verdict verdict;
    int8_t error;  /* of the last run */
    uint8_t phase; /* enum tf_stage_phase */
};

/* What the agent calls. Untied from the core: a port without the part has no function of it. */
struct tf_stage_part {
    uint32_t operators; /* added to the bits of the engines */
    /* At each poll: runs the model when its input is complete. */
    void (*slice)(struct tf_agent *agent);
    /* A message of type 7 ... 9: as in struct tf_recorder (samples.h). */
    int (*answer)(struct tf_agent *agent, const uint8_t *message, size_t length, uint8_t *reply, size_t capacity);
};

extern const struct tf_stage_part tf_stages;

#endif
