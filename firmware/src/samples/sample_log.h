/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An append-only log in a region of flash (docs/specs/samples.md, section 2). It overwrites its oldest erase unit when it
 * is full. A power cut loses at most the record that is being written.
 */
#ifndef TF_SAMPLES_SAMPLE_LOG_H
#define TF_SAMPLES_SAMPLE_LOG_H

#include "codec/bytes.h"
#include "tinyfleet/hal.h"
#include "tinyfleet/samples.h"

/* Records start at multiples of it. */
#define TF_SAMPLE_STEP_BYTES 32u

/* The start of a record, padded with zeros to a multiple of TF_SAMPLE_STEP_BYTES; the window follows. */
struct tf_sample_head {
    uint32_t length; /* of the record with its window */
    uint32_t crc;
    uint32_t boots;
    uint32_t ms;
    uint32_t windows;
    int32_t score;
    uint8_t flags;
    uint8_t features;
    uint16_t skipped;
    uint32_t context;
    int32_t raw[TF_FEATURES_MAX];
};

_Static_assert(offsetof(struct tf_sample_head, raw) == 32, "docs/specs/samples.md, section 3");

/* Find what the log holds. Leaves the tokens alone. */
void tf_sample_log_open(const struct tf_hal *hal, struct tf_sample_log *log, const struct tf_region *region);

/* Append a record of head_bytes and a window; sets its length and CRC. TF_ERR_CAPACITY when the offsets are used up. */
TF_MUST_CHECK int tf_sample_log_append(const struct tf_hal *hal, struct tf_sample_log *log, struct tf_sample_head *head, uint32_t head_bytes,
                                       struct tf_view window);

/* Read a range that the log holds. Bytes that flash refuses to read are given as FF: the records after them must not be lost. */
void tf_sample_log_read(const struct tf_hal *hal, const struct tf_sample_log *log, uint32_t from, uint8_t *buffer, uint32_t length);

/* View a region without heads as a log with one unit. The other fields stay: zero, as long as it holds nothing. */
void tf_sample_log_plain(struct tf_sample_log *log, const struct tf_region *region);

#endif
