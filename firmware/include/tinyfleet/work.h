/* SPDX-License-Identifier: Apache-2.0 */
/* What is under way, in slices; lost at a reset, which only means that it starts again. */
#ifndef TINYFLEET_WORK_H
#define TINYFLEET_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/config.h"
#include "tinyfleet/sha256.h"

/* A payload in flash, read byte by byte. */
struct tf_source {
    uint32_t offset; /* of the next byte that is not in the cache */
    uint32_t left;
    uint8_t cache[32];
    uint8_t cached;
    uint8_t at;
};

/* heatshrink (docs/specs/patch.md). */
struct tf_heatshrink {
    uint8_t window[1 << TF_WINDOW_BITS];
    uint32_t produced;
    uint16_t distance;
    uint16_t copy; /* bytes left of the copy under way */
    uint8_t bits;
    uint8_t bit_count;
};

/* A patch (docs/specs/patch.md). */
struct tf_patch {
    uint32_t src; /* position in the source */
    uint32_t source_offset;
    uint32_t source_bytes;
    uint32_t count; /* items left of the operation under way */
    uint32_t copy;  /* bytes to copy before its next item */
    uint8_t operation;
    uint8_t gap_bits;
    uint8_t value_bits;
    bool moves;     /* INSERT: the source moves along */
    bool copy_read; /* SPARSE: the copy before the next item was read; others have none */
    bool tail_read; /* SPARSE: the copy behind the last item was read; others have none */
    uint8_t bits;
    uint8_t bit_count;
};

/* From the payload at the slot's end to the pack at its start. */
struct tf_decoder {
    struct tf_source source;
    union {
        struct tf_heatshrink heatshrink;
        struct tf_patch patch;
    } form;
    uint32_t produced;
    uint8_t gathered[64]; /* a multiple of every write size */
};

/* Numbers of blocks; one more than fits is remembered as "all". */
struct tf_block_list {
    uint16_t index[TF_CORRECTED_MAX];
    uint8_t count;
    bool overflowed;
};

enum tf_job {
    TF_JOB_NONE = 0,
    TF_JOB_DECODE, /* payload to pack */
    TF_JOB_HASH,   /* the pack's digest, then its structure */
    TF_JOB_GOLDEN, /* trial: golden vectors */
    TF_JOB_WATCH,  /* trial: the first inferences */
    TF_JOB_RESET,  /* the state asks for a restart */
};

struct tf_work {
    enum tf_job job;
    struct tf_decoder decoder;
    struct tf_sha256 sha;
    uint32_t started_ms;
    uint32_t now_ms;                 /* of the last poll */
    uint32_t since_ms;               /* when the watch of the first inferences began */
    uint32_t done;                   /* bytes hashed, golden vectors run, inferences seen */
    struct tf_block_list corrected;  /* taken from frames with a mended bit */
    struct tf_block_list forgotten;  /* held by their marks, but to be sent again */
    int8_t stage_error;              /* why the last staging failed, until the next block */
    bool restarted;                  /* the transfer began anew on flash that refused a write; once a start */
    bool report_due;
    uint16_t flags; /* those of enum tf_flag that stand until the next start */
};

#endif
