/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A script: one device, the offers that a gateway has for it, and the steps in which it makes them. scripts.py writes
 * scripts as lines of words, because it signs the envelopes. A script is read once and then never changed.
 */
#ifndef TINYFLEET_POWERCUT_SCRIPT_H
#define TINYFLEET_POWERCUT_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/bytes.h"
#include "tinyfleet/state.h"

#define OFFERS_MAX 24
#define STEPS_MAX 24

/* How each trial of the new model is ended from outside. */
enum crash {
    CRASH_NONE,
    CRASH_FAULT, /* by the watchdog, at the start of the trial */
    CRASH_RESET, /* by a reset that leaves no trace of its cause */
};

struct offer {
    struct tf_transfer transfer;
    uint32_t sequence; /* of `envelope`; `reissued` has one more */
    uint32_t epoch;    /* of the delegation that the device then has */
    int expect;        /* the result that the device must report */
    enum crash crash;
    uint8_t digest[TF_DIGEST_BYTES];
    struct tf_view envelope; /* of ACT_ROTATE: the rotation; `reissued` is the delegation, `digest` the new root */
    struct tf_view reissued; /* the same, with the next sequence: for when too many cuts hit the trial */
    struct tf_view payload; /* empty: the device already has the pack */
    bool configure;
    int32_t parameter; /* configure: the value of parameter 0 */
};

enum act {
    ACT_DELIVER, /* make an offer, and complete it */
    ACT_FLIP_BIT,   /* flip a bit of the running pack, and restart */
    ACT_RESTART, /* restart, `number` times */
    ACT_DELIVER_HALF, /* make an offer and send only half of its blocks */
    ACT_FAULT, /* end the running model by a fault, `number` times */
    ACT_SAMPLE, /* give the model `number` windows that it finds anomalous */
    ACT_LEARN, /* give the model windows until it has grown its forest */
    ACT_ROTATE, /* have the device follow another root */
};

/* The parts of a script. */
enum part {
    PART_SETUP, /* prepares the device */
    PART_CUT,   /* power is cut at every flash operation of this part */
    PART_AFTER, /* must still work afterwards */
};

struct step {
    enum part part;
    enum act act;
    uint8_t number; /* of the offer, or how many starts or faults */
    uint8_t runs[TF_DIGEST_BYTES]; /* what must run when the step is complete */
};

struct script {
    struct tf_geometry geometry;
    struct tf_view region;
    uint32_t flash_bytes;
    uint8_t initial[TF_DIGEST_BYTES]; /* what runs at first */
    uint8_t forest[TF_DIGEST_BYTES]; /* SHA-256 of the section that must grow */
    struct offer offers[OFFERS_MAX];
    uint8_t offer_count;
    struct step steps[STEPS_MAX];
    uint8_t step_count;
};

/* NULL, or what is wrong with the file. The memory is never freed. */
const char *script_read(struct script *script, const char *path);

#endif
