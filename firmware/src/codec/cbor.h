/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CBOR in its core deterministic encoding, as far as envelopes and messages need it (RFC 8949, section 4.2.1).
 *
 * Reading: the first error sticks in reader->error and every later call does nothing and returns zero, so a parser is a
 * straight line of calls with one check at its end. The errors are those of docs/specs/envelope.md, section 4.
 * Writing: bytes that do not fit are counted, not written; writer->length > writer->capacity says so.
 */
#ifndef TF_CBOR_H
#define TF_CBOR_H

#include "codec/bytes.h"

enum tf_major {
    TF_UINT = 0,
    TF_NINT = 1,
    TF_BSTR = 2,
    TF_TSTR = 3,
    TF_ARRAY = 4,
    TF_MAP = 5,
    TF_TAG = 6,
    TF_SIMPLE = 7,
};

#define TF_CBOR_FALSE 20
#define TF_CBOR_TRUE 21
#define TF_CBOR_NULL 22

struct tf_reader {
    const uint8_t *at;
    const uint8_t *end;
    int error;
};

void tf_reader_init(struct tf_reader *reader, struct tf_view bytes);

/* The major type of the next item, or -1 when there is none; reads nothing. */
TF_MUST_CHECK int tf_peek(const struct tf_reader *reader);

/* Read a head of this major type; returns its argument. TF_ERR_UNEXPECTED for another type. */
uint32_t tf_head(struct tf_reader *reader, enum tf_major major);

/* Read a head of this major type with just this argument. */
void tf_expect(struct tf_reader *reader, enum tf_major major, uint32_t argument);

/* Read heads one behind the other that must equal these bytes, which are CBOR heads and, where they stand, one-byte strings' contents. */
void tf_expect_heads(struct tf_reader *reader, const uint8_t *heads, size_t length);

/* An integer of -2^31 ... 2^31 - 1; TF_ERR_OUT_OF_RANGE beyond. */
int32_t tf_integer(struct tf_reader *reader);

/* A byte string of any length; a view into what is read. */
struct tf_view tf_bytes(struct tf_reader *reader);

/* A byte string of just this length; NULL on error. */
const uint8_t *tf_bytes_of(struct tf_reader *reader, uint32_t length);

/* A byte string that holds CBOR: a reader over its content. An error of the outer one is handed on. */
struct tf_reader tf_enter(struct tf_reader *reader);

/* The end of an inner reader: TF_ERR_TRAILING if bytes are left. Its error is handed to the outer one. */
void tf_leave(struct tf_reader *reader, const struct tf_reader *inner);

/* The end of the outermost: TF_OK or the error that stuck. */
TF_MUST_CHECK int tf_end(struct tf_reader *reader);

struct tf_writer {
    uint8_t *data;
    size_t capacity;
    size_t length;
};

void tf_write_raw(struct tf_writer *writer, const void *data, size_t length);
void tf_write_head(struct tf_writer *writer, enum tf_major major, uint64_t argument);
void tf_write_int(struct tf_writer *writer, int64_t value);
void tf_write_bytes(struct tf_writer *writer, const void *data, size_t length);
void tf_write_text(struct tf_writer *writer, const char *text);
void tf_write_null(struct tf_writer *writer);

#endif
