/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a campaign plays: one device, the orders that a gateway has for it, and the steps in which they are given. Written by
 * firmware/campaign/script.py as lines of words, since orders are signed there; read once, then never changed.
 */
#ifndef TINYFLEET_CAMPAIGN_SCRIPT_H
#define TINYFLEET_CAMPAIGN_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/bytes.h"
#include "tinyfleet/state.h"

#define ORDERS_MAX 12
#define STEPS_MAX 24

/* What happens to the new model in its trial, besides what it does itself. */
enum crash {
    CRASH_NONE,
    CRASH_FAULT, /* the watchdog ends each trial at its start */
    CRASH_RESET, /* a reset does, and leaves no word why */
};

struct order {
    struct tf_transfer transfer;
    uint32_t sequence; /* of envelope; that of `again` is one higher */
    uint32_t epoch;    /* that the device holds after it */
    int expect;        /* its result */
    enum crash crash;
    uint8_t digest[TF_DIGEST_BYTES];
    struct tf_view envelope;
    struct tf_view again; /* the same order anew, for when too many cuts fell into the trial */
    struct tf_view payload; /* empty: the pack lies in the device */
    bool configure;
    int32_t parameter; /* configure: the value of parameter 0 */
};

enum act {
    ACT_ORDER, /* give an order, and lead it to its end */
    ACT_ROT,   /* a bit of the pack that runs turns over; start again */
    ACT_START, /* start again, some times */
    ACT_BEGIN, /* give an order and half of its blocks, and no more */
    ACT_FAULT, /* a fault ends what runs, as often */
};

/* Whose power is cut. */
enum part {
    PART_SETUP, /* brings the device where the campaign begins */
    PART_CUT,   /* power is cut at every operation of this */
    PART_AFTER, /* must still work after all that */
};

struct step {
    enum part part;
    enum act act;
    uint8_t number; /* of the order, or how many starts */
    uint8_t runs[TF_DIGEST_BYTES]; /* what must run when it is over */
};

struct script {
    struct tf_geometry geometry;
    struct tf_view region;
    uint32_t flash_bytes;
    uint8_t born[TF_DIGEST_BYTES]; /* what runs before any order */
    struct order orders[ORDERS_MAX];
    uint8_t order_count;
    struct step steps[STEPS_MAX];
    uint8_t step_count;
};

/* NULL, or what is wrong with the file. Its bytes are never given back. */
const char *script_read(struct script *script, const char *path);

#endif
