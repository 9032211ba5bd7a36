/* SPDX-License-Identifier: Apache-2.0 */
/* The job in progress, done in slices. It lives in RAM: a reset loses it, and it starts again after the boot. */
#ifndef TINYFLEET_WORK_H
#define TINYFLEET_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/config.h"
#include "tinyfleet/sha256.h"

/* A payload in flash, read byte by byte. */
struct tf_stream {
    uint32_t offset; /* of the next byte that is not in the cache */
    uint32_t left;
    uint8_t cache[32];
    uint8_t cached;
    uint8_t at;
};

/* State of the heatshrink decoder (docs/specs/patch.md). */
struct tf_heatshrink {
    uint8_t window[1 << TF_WINDOW_BITS];
    uint32_t produced;
    uint16_t distance;
    uint16_t copy; /* bytes left of the current copy */
    uint8_t bits;
    uint8_t bit_count;
};

/* State of the patch decoder (docs/specs/patch.md). */
struct tf_patch {
    uint32_t src; /* position in the source */
    uint32_t source_offset;
    uint32_t source_bytes;
    uint32_t count; /* items left of the current operation */
    uint32_t copy;  /* bytes to copy before its next item */
    uint8_t operation;
    uint8_t gap_bits;
    uint8_t value_bits;
    bool moves;     /* INSERT: the source position moves along */
    bool copy_read; /* SPARSE: the length of the copy before the next item has been read; other operations have none */
    bool tail_read; /* SPARSE: the length of the copy after the last item has been read; other operations have none */
    uint8_t bits;
    uint8_t bit_count;
};

/* Decodes the payload at the end of the slot into the pack at its start. */
struct tf_decoder {
    struct tf_stream stream;
    union {
        struct tf_heatshrink heatshrink;
        struct tf_patch patch;
    } form;
    uint32_t produced;
    uint8_t gathered[64]; /* a multiple of every write size */
};

/* Block numbers. One more than fits sets overflowed, which stands for "all blocks". */
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
    TF_JOB_WATCH,  /* trial: first inferences */
    TF_JOB_RESET,  /* the new state requires a restart */
};

struct tf_work {
    enum tf_job job;
    struct tf_decoder decoder;
    struct tf_sha256 sha;
    uint32_t started_ms;
    uint32_t now_ms;                /* at the last poll */
    uint32_t watch_started_ms;      /* when TF_JOB_WATCH began */
    uint32_t done;                  /* bytes hashed, golden vectors run, or inferences seen */
    struct tf_block_list corrected; /* blocks from frames in which a bit was corrected */
    struct tf_block_list discarded; /* marked as held, but to be sent again */
    bool resent;                    /* corrected blocks of this transfer were discarded; at most once */
    bool restarted;                 /* flash refused a write and the transfer was restarted; at most once per start */
    bool report_due;
    uint16_t flags; /* enum tf_flag bits that last until the next start */
};

#endif
