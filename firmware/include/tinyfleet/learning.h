/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part that grows an isolation forest on the device, from features of its own windows (docs/specs/learning.md). It
 * includes the part that keeps samples. A port that wants it links src/samples and src/learning, sets the field `learner` of
 * its sampler, and passes tf_learning to tf_agent_keep_samples().
 *
 * What survives power loss: every row that was written completely, and the forest once it was accepted. A forest that was
 * being grown is grown again, to the same bytes.
 */
#ifndef TINYFLEET_LEARNING_H
#define TINYFLEET_LEARNING_H

#include "tinyfleet/config.h"
#include "tinyfleet/samples.h"

/* How far it is; the numbers are those of the body `samples`. */
enum tf_learn_stage {
    TF_LEARN_OFF = 0,            /* nothing to learn, or nowhere to store it */
    TF_LEARN_WAITING = 1,        /* the model is on trial */
    TF_LEARN_ERASING_ROWS = 2,
    TF_LEARN_COLLECTING = 3,
    TF_LEARN_ERASING_FOREST = 4,
    TF_LEARN_GROWING = 5,
    TF_LEARN_EVALUATING = 6,
    TF_LEARN_GROWN = 7,          /* the grown forest decides; until then, and else, the pack's own */
    TF_LEARN_DISCARDED = 8,
};

/* Fields of the stream of bits, gathered until they fill write units of every size. */
struct tf_bit_writer {
    uint32_t offset; /* in flash, of bit 0 */
    uint32_t limit;  /* the end of the region */
    uint32_t bits;   /* written so far */
    int error;       /* the first one; nothing is written after it */
    uint8_t gathered[TF_WRITE_SIZE_MAX];
};

/* The caller provides the memory; the fields belong to the part. Small ones come first: code reaches them in fewer bytes. */
struct tf_learner {
    uint8_t stage;      /* enum tf_learn_stage */
    uint16_t rows;      /* that are valid */
    uint16_t since;     /* windows since the last row */
    uint16_t anomalous; /* rows that the grown forest finds anomalous, of those evaluated so far */
    uint32_t generation;
    uint32_t position; /* in the stage: the next offset to erase, the tree to grow, the slot to evaluate */
    uint32_t random;
    uint32_t size; /* of the section that is evaluated */
    struct tf_sample_log stored[2]; /* the regions rows and forest, as the spaces 2 and 3 have them */
    struct tf_bit_writer writer;
};

extern const struct tf_recorder tf_learning;

#endif
