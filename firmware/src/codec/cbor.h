/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of CBOR's core deterministic encoding that envelopes and messages use (RFC 8949, section 4.2.1).
 *
 * Reading: the first error stays in reader->error, and every later call does nothing and returns zero. So a parser is a
 * straight line of calls with one check at its end. The errors are those of docs/specs/envelope.md, section 4.
 * Writing: bytes that do not fit are counted but not written; check writer->length > writer->capacity at the end.
 */
#ifndef TF_CODEC_CBOR_H
#define TF_CODEC_CBOR_H

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

/* The major type of the next item, or -1 at the end. Reads nothing. */
TF_MUST_CHECK int tf_peek_type(const struct tf_reader *reader);

/* Read a head of this major type and return its argument. TF_ERR_UNEXPECTED for another type. */
uint32_t tf_read_head(struct tf_reader *reader, enum tf_major major);

/* Read a head that must have this major type and this argument. */
void tf_expect_head(struct tf_reader *reader, enum tf_major major, uint32_t argument);

/* Read consecutive heads that must equal these bytes. The bytes are CBOR heads, and the contents of one-byte strings. */
void tf_expect_heads(struct tf_reader *reader, const uint8_t *heads, size_t length);

/* Read an integer of -2^31 ... 2^31 - 1; TF_ERR_OUT_OF_RANGE otherwise. */
int32_t tf_read_int(struct tf_reader *reader);

/* Read a byte string of any length; returns a view into the input. */
struct tf_view tf_read_bytes(struct tf_reader *reader);

/* Read a byte string of exactly this length; NULL on error. */
const uint8_t *tf_read_bytes_of(struct tf_reader *reader, uint32_t length);

/* Read a byte string that contains CBOR; returns a reader over its content, which inherits an error of the outer reader. */
struct tf_reader tf_reader_enter(struct tf_reader *reader);

/* Finish an inner reader: TF_ERR_TRAILING if bytes are left. The outer reader takes over its error. */
void tf_reader_leave(struct tf_reader *reader, const struct tf_reader *inner);

/* Finish the outermost reader: TF_OK, or the first error. */
TF_MUST_CHECK int tf_reader_end(struct tf_reader *reader);

struct tf_writer {
    uint8_t *data;
    size_t capacity;
    size_t length;
};

void tf_write_raw(struct tf_writer *writer, const void *data, size_t length);
void tf_write_head(struct tf_writer *writer, enum tf_major major, uint64_t argument);
__attribute__((noinline)) void tf_write_uint(struct tf_writer *writer, uint32_t value); /* inlined, each call would take more code */
void tf_write_int(struct tf_writer *writer, int64_t value);
void tf_write_bytes(struct tf_writer *writer, const void *data, size_t length);
void tf_write_text(struct tf_writer *writer, const char *text);
void tf_write_null(struct tf_writer *writer);

#endif
