/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's state. struct tf_state survives power loss: one journal record holds all of it, so fields that change
 * together are committed together. The rest of struct tf_agent lives in RAM and is lost at a reset.
 */
#ifndef TINYFLEET_STATE_H
#define TINYFLEET_STATE_H

#include "tinyfleet/engine.h"
#include "tinyfleet/hal.h"
#include "tinyfleet/operations.h"
#include "tinyfleet/samples.h"
#include "tinyfleet/stage.h"
#include "tinyfleet/types.h"
#include "tinyfleet/work.h"

enum tf_slot_status {
    TF_STATUS_EMPTY = 0,     /* nothing that can run */
    TF_STATUS_RECEIVING = 1, /* target of the open transfer */
    TF_STATUS_VERIFIED = 2,  /* digest and structure are right; has not passed a trial, or failed it */
    TF_STATUS_CONFIRMED = 3, /* passed a trial */
};

/* The structs up to tf_record are stored in flash as they are (docs/specs/flash.md, section 2): no padding, little-endian. */

/* Slot A or B: its pack, and the envelope that authorised it. */
struct tf_slot {
    uint32_t pack_bytes;
    uint16_t envelope_bytes;
    uint8_t status;
    uint8_t zero;
    uint8_t digest[TF_DIGEST_BYTES];
    uint8_t signer[TF_KEY_BYTES]; /* the gateway key in force when the envelope was accepted */
    uint8_t envelope[TF_ENVELOPE_KEPT_MAX];
};

/* The open transfer, or the last one. */
struct tf_transfer {
    uint32_t payload_bytes;
    uint16_t block_bytes;
    uint8_t encoding; /* enum tf_encoding */
    uint8_t name;     /* protocol.md: `transfer` */
};

/* One parameter, set by a configure envelope. */
struct tf_parameter {
    int32_t value;
    uint8_t index; /* into the pack's parameter table */
    uint8_t zero[3];
};

/* What the device keeps of its gateway's delegation. */
struct tf_delegation {
    uint8_t key[TF_KEY_BYTES];
    uint32_t epoch; /* 0: the device has no delegation yet */
    uint32_t exp;   /* 0: never expires */
};

struct tf_state {
    uint32_t boots;
    uint32_t sequence; /* highest accepted */
    struct tf_delegation delegation;
    uint8_t envelope[TF_DIGEST_BYTES];   /* SHA-256 of the last accepted envelope, exactly as received */
    uint8_t failed[TF_DIGEST_BYTES];     /* digest of the last pack that was tried and rejected */
    uint8_t configured[TF_DIGEST_BYTES]; /* digest of the pack that the parameters belong to */
    struct tf_transfer transfer;
    uint16_t flags;
    uint16_t repairing;    /* 1 + number of the erase unit whose blocks are in scratch; 0: none */
    int8_t result;         /* of the last accepted envelope: TF_WORKING, TF_OK, or why it failed */
    uint8_t phase;         /* enum tf_phase */
    uint8_t confirmed;     /* slot that passed the last trial and is still good */
    uint8_t target;        /* slot that receiving, staged and trial refer to */
    uint8_t trial_boots;
    uint8_t rolled_back;   /* a newer pack has failed since the last confirmation */
    int8_t error;          /* why `failed` was rejected, or the last error */
    uint8_t has_failed;
    uint8_t parameter_count;
    uint8_t faults; /* consecutive starts after a fault */
    uint16_t rotation; /* number of the last accepted one; 0: the provisioned root is in force */
    struct tf_parameter parameters[TF_PARAMETERS_MAX];
    struct tf_slot slot[2];
    uint8_t root[TF_KEY_BYTES]; /* in force, if rotation is not 0 */
};

#define TF_RECORD_BYTES 1024

struct tf_record {
    uint32_t magic;
    uint32_t serial;
    struct tf_state state;
    uint32_t crc;
    uint8_t blank[28]; /* FF */
};

#ifndef __cplusplus /* which spells it differently */
_Static_assert(sizeof(struct tf_state) == 984, "struct tf_state matches docs/specs/flash.md byte for byte");
_Static_assert(sizeof(struct tf_record) == TF_RECORD_BYTES, "a record is 1,024 bytes");
#endif

struct tf_journal {
    struct tf_record record; /* the current state; in flash once tf_journal_commit() has returned TF_OK */
    uint32_t position;       /* where the next record goes in the active sector */
    uint8_t sector;          /* the active one, 0 or 1 */
    bool damaged;            /* loading skipped something that is not a valid record */
};

/* The model that runs. */
struct tf_running {
    const struct tf_engine *engine; /* NULL: no model runs */
    struct tf_pack pack;
    uint32_t offset; /* of the pack in flash */
    uint8_t slot_id;
    uint8_t why;
    bool is_stage; /* of a pipeline: gets no windows of a sensor */
    uint8_t digest[TF_DIGEST_BYTES];
    int32_t parameters[TF_PARAMETER_TABLE_MAX];
};

#define TF_HISTOGRAM_BINS 8

/* Scores since start, for the body `summary`. Bin i counts magnitudes of 4·i ... 4·i + 3 bits; the last bin takes all above. */
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

/* The caller provides the memory; the fields belong to the core. */
struct tf_agent {
    struct tf_hal hal;
    const struct tf_engine *const *engines;
    size_t engine_count;
    struct tf_arena arena;
    struct tf_identity identity;
    struct tf_journal journal;
    struct tf_running running;
    struct tf_work work;
    struct tf_scores scores;
    struct tf_counters counters;
    const struct tf_recorder *recorder; /* NULL: the device keeps no samples */
    struct tf_sampler *sampler;
    const struct tf_stage_part *stage_part; /* NULL: the device runs no stages of pipelines */
    struct tf_stage *stage;
    const struct tf_operations_part *operations_part; /* NULL: the gateway can call no function of the device */
    struct tf_operations *operations;
};

#endif
