/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part that keeps samples (docs/specs/samples.md): records of windows in two logs in flash, which a gateway pulls. A
 * port that wants it links src/samples, provides the memory, and calls tf_agent_keep_samples() before tf_agent_boot().
 */
#ifndef TINYFLEET_SAMPLES_H
#define TINYFLEET_SAMPLES_H

#include "tinyfleet/engine.h"
#include "tinyfleet/types.h"

struct tf_agent;
struct tf_learner;


/* What can be pulled. The logs by number are also the regions samples[0] and samples[1] of the flash geometry. */
enum tf_space {
    TF_SPACE_ANOMALIES = 0,
    TF_SPACE_NORMALS = 1,
    TF_SPACE_ROWS = 2,   /* learning.h */
    TF_SPACE_FOREST = 3,
};

/*
 * A log in flash. Offsets count all bytes ever written, so they only grow. Tokens bound what it writes: one token is 32
 * bytes of flash.
 */
struct tf_sample_log {
    uint32_t region; /* where it starts in flash */
    uint32_t units;  /* 0: the device has no such log */
    uint32_t room;   /* bytes of a unit that records can take */
    uint32_t first;  /* the oldest byte that is held */
    uint32_t end;    /* of the newest record */
    uint32_t next;   /* where the next record is tried: `end`, or a new unit after flash refused a write */
    uint32_t limit;  /* the end of the unit of `next`; `next` itself: the next record erases a unit */
    uint32_t tokens;
    uint32_t refilled_ms;
    uint16_t skipped; /* samples since the last record for which there were no tokens; UINT16_MAX: at least as many */
};

/* The range that the answer to `attest` is about. */
struct tf_attested_range {
    uint32_t range[3]; /* space, from, to */
    uint8_t digest[TF_DIGEST_BYTES];
};

/* The caller provides the memory and sets the first three fields; the others belong to the part. */
struct tf_sampler {
    uint32_t burst_tokens; /* most tokens of a log */
    uint32_t token_ms;     /* one token more for each log in this time; not 0 */
    struct tf_learner *learner; /* NULL: the device grows no forest */
    struct tf_sample_log log[2];
    struct tf_attested_range attested;
    uint32_t normals; /* since the last one that was kept */
};

/* What the agent calls. Untied from the core: a port without the part has no function of it. */
struct tf_recorder {
    /* Bits added to those of the engines. */
    uint32_t (*operators)(const struct tf_agent *agent);
    /* At the boot, when the state is known. */
    void (*open)(struct tf_agent *agent);
    /* After an inference without error. */
    void (*record)(struct tf_agent *agent, const uint8_t *input, size_t length, const struct tf_verdict *verdict);
    /*
     * A message of type 5 or more: the length of the answer, TF_ERR_MESSAGE when it is malformed, TF_ERR_CAPACITY when
     * the buffer is too small, or another error, which the agent answers with `result`.
     */
    int (*answer)(struct tf_agent *agent, const uint8_t *message, size_t length, uint8_t *reply, size_t capacity);
    /* Can this pack, which has a section LEARN, learn here? TF_OK or the reason. NULL: no pack can. */
    TF_MUST_CHECK int (*check)(const struct tf_agent *agent, const struct tf_pack *pack);
    /* Do a bounded slice of work while the agent has no job. True: work is left. NULL: there is never any. */
    bool (*slice)(struct tf_agent *agent);
};

extern const struct tf_recorder tf_sampling;

#endif
