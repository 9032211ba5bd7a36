/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent remembers: struct tf_state survives power loss (one journal record is the whole of it, so that
 * whatever changes together is committed together); struct tf_agent is its memory while it runs.
 */
#ifndef TINYFLEET_STATE_H
#define TINYFLEET_STATE_H

#include "tinyfleet/types.h"

enum tf_slot_status {
    TF_SLOT_EMPTY = 0,     /* nothing that could run */
    TF_SLOT_RECEIVING = 1, /* the target of the open transfer */
    TF_SLOT_WHOLE = 2,     /* digest right, structure checked; never passed a trial, or failed it */
    TF_SLOT_CONFIRMED = 3, /* passed a trial */
};

/* One slot: its pack, and the envelope that let it in. */
struct tf_slot {
    uint8_t status;
    uint16_t envelope_bytes;
    uint32_t pack_bytes;
    uint8_t digest[TF_DIGEST_BYTES];
    uint8_t signer[TF_KEY_BYTES]; /* the gateway key that was in force when the envelope was accepted */
    uint8_t envelope[TF_ENVELOPE_KEPT_MAX];
};

/* The transfer that is open, or was last. */
struct tf_transfer {
    uint8_t name; /* protocol.md: `transfer` */
    uint8_t encoding;
    uint16_t block_bytes;
    uint32_t payload_bytes;
};

/* One parameter that a configure envelope set. */
struct tf_parameter {
    uint8_t index; /* into the pack's parameter table */
    int32_t value;
};

struct tf_state {
    uint32_t boots;
    uint32_t sequence; /* highest accepted */
    struct tf_held held;
    uint8_t order[TF_DIGEST_BYTES]; /* SHA-256 of the last accepted envelope, as it came */
    int8_t order_result;            /* TF_WORKING, TF_OK, or why it failed */
    uint8_t phase;
    uint8_t confirmed;   /* place that passed its trial last and is still good */
    uint8_t target;      /* place on which receiving, staged and trial are about */
    uint8_t trial_boots;
    uint8_t stepped_back; /* a newer one failed since the last confirmation */
    int8_t error;         /* why `failed` was left, or the last error */
    uint8_t has_failed;
    uint8_t failed[TF_DIGEST_BYTES]; /* what was tried last and left */
    uint16_t flags;
    uint8_t parameter_count;
    struct tf_parameter parameters[TF_PARAMETERS_MAX];
    uint8_t configured[TF_DIGEST_BYTES]; /* pack that the parameters are for */
    struct tf_transfer transfer;
    struct tf_slot slot[2];
};

struct tf_journal {
    uint32_t serial;   /* of the last record */
    uint32_t position; /* in the active sector, where the next record goes */
    uint8_t sector;    /* 0 or 1 */
};

/* What runs. */
struct tf_running {
    const struct tf_engine *engine; /* NULL: nothing runs */
    struct tf_pack pack;
    uint8_t place;
    uint8_t why;
    uint8_t digest[TF_DIGEST_BYTES];
    int32_t parameters[TF_PARAMETER_TABLE_MAX];
};

/* Sampled scores since start, for the body `summary`. */
struct tf_scores {
    uint32_t count;
    int32_t min;
    int32_t max;
    int64_t sum;
    uint32_t histogram[8];
};

struct tf_counters {
    uint32_t inferences;
    uint32_t anomalies;
    uint32_t faults;
    uint32_t reports;
};

struct tf_agent {
    struct tf_hal hal;
    const struct tf_engine *const *engines;
    size_t engine_count;
    struct tf_arena arena;
    struct tf_identity identity;
    struct tf_state state;
    struct tf_journal journal;
    struct tf_running running;
    struct tf_scores scores;
    struct tf_counters counters;
    struct tf_work *work;
};

#endif
