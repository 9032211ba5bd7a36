/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent remembers. struct tf_state survives power loss: one journal record is the whole of it, so that
 * whatever changes together is committed together. struct tf_agent is the memory while it runs.
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

/* The structs up to tf_record lie in flash as they are (docs/specs/flash.md, section 2): no padding, little-endian. */

/* One slot: its pack, and the envelope that let it in. */
struct tf_slot {
    uint32_t pack_bytes;
    uint16_t envelope_bytes;
    uint8_t status;
    uint8_t zero;
    uint8_t digest[TF_DIGEST_BYTES];
    uint8_t signer[TF_KEY_BYTES]; /* the gateway key that was in force when the envelope was accepted */
    uint8_t envelope[TF_ENVELOPE_KEPT_MAX];
};

/* The transfer that is open, or was last. */
struct tf_transfer {
    uint32_t payload_bytes;
    uint16_t block_bytes;
    uint8_t encoding;
    uint8_t name; /* protocol.md: `transfer` */
};

/* One parameter that a configure envelope set. */
struct tf_parameter {
    int32_t value;
    uint8_t index; /* into the pack's parameter table */
    uint8_t zero[3];
};

/* What the device holds of its gateway's delegation. */
struct tf_held {
    uint8_t key[TF_KEY_BYTES];
    uint32_t epoch; /* 0: none is held */
    uint32_t exp;   /* 0: none */
};

struct tf_state {
    uint32_t boots;
    uint32_t sequence; /* highest accepted */
    struct tf_held held;
    uint8_t order[TF_DIGEST_BYTES];      /* SHA-256 of the last accepted envelope, as it came */
    uint8_t failed[TF_DIGEST_BYTES];     /* what was tried last and left */
    uint8_t configured[TF_DIGEST_BYTES]; /* pack that the parameters are for */
    struct tf_transfer transfer;
    uint16_t flags;
    uint16_t mending;      /* 1 + number of the erase unit that lies in scratch; 0: none */
    int8_t order_result;   /* TF_WORKING, TF_OK, or why it failed */
    uint8_t phase;         /* enum tf_phase */
    uint8_t confirmed;     /* place that passed its trial last and is still good */
    uint8_t target;        /* place that receiving, staged and trial are about */
    uint8_t trial_boots;
    uint8_t stepped_back;  /* a newer one failed since the last confirmation */
    int8_t error;          /* why `failed` was left, or the last error */
    uint8_t has_failed;
    uint8_t parameter_count;
    uint8_t faults; /* starts after a fault, in a row */
    uint8_t zero[2];
    struct tf_parameter parameters[TF_PARAMETERS_MAX];
    struct tf_slot slot[2];
};

#define TF_RECORD_BYTES 1024

struct tf_record {
    uint32_t magic;
    uint32_t serial;
    struct tf_state state;
    uint32_t crc;
    uint8_t blank[28]; /* FF */
};

_Static_assert(sizeof(struct tf_state) == 984, "struct tf_state must lie in flash as docs/specs/flash.md says");
_Static_assert(sizeof(struct tf_record) == TF_RECORD_BYTES, "a record is 1,024 bytes");

struct tf_journal {
    struct tf_record record; /* the state in force; in flash once tf_journal_commit() returned TF_OK */
    uint32_t position;       /* in the active sector, where the next record goes */
    uint8_t sector;          /* 0 or 1 */
    bool damaged;            /* something that is no record was passed over when it was read */
};

/* What runs. */
struct tf_running {
    const struct tf_engine *engine; /* NULL: nothing runs */
    struct tf_pack pack;
    uint32_t offset; /* of the pack in flash */
    uint8_t place;
    uint8_t why;
    uint8_t digest[TF_DIGEST_BYTES];
    int32_t parameters[TF_PARAMETER_TABLE_MAX];
};

#define TF_HISTOGRAM_BINS 8

/* Scores since start, for the body `summary`. Bin i counts those of 4·i ... 4·i + 3 bits (without sign; more than 31: the last). */
struct tf_scores {
    uint32_t count;
    int32_t min;
    int32_t max;
    int64_t sum;
    uint32_t histogram[TF_HISTOGRAM_BINS];
};

struct tf_counters {
    uint32_t inferences;
    uint32_t anomalies;
    uint32_t faults;
    uint32_t reports;
};

#endif
