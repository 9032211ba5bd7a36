/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/cbor.h"

#include <string.h>

void tf_reader_init(struct tf_reader *reader, struct tf_view bytes)
{
    reader->at = bytes.data;
    reader->end = bytes.data + bytes.size;
    reader->error = TF_OK;
}

static void fail(struct tf_reader *reader, int error)
{
    if (reader->error == TF_OK) {
        reader->error = error;
    }
}

static size_t left(const struct tf_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

int tf_peek_type(const struct tf_reader *reader)
{
    return reader->error == TF_OK && left(reader) > 0 ? *reader->at >> 5 : -1;
}

/* A head of any major type (envelope.md, section 4). */
static uint32_t any_head(struct tf_reader *reader, unsigned *major)
{
    if (left(reader) == 0) {
        fail(reader, TF_ERR_TRUNCATED);
        return 0;
    }
    unsigned info = *reader->at & 31;
    *major = *reader->at >> 5;
    reader->at++;
    if (info < 24) {
        return info;
    }
    if (info > 26) {
        fail(reader, info == 27 ? TF_ERR_OUT_OF_RANGE : TF_ERR_NOT_CANONICAL);
        return 0;
    }
    size_t length = (size_t)1 << (info - 24);
    if (left(reader) < length) {
        fail(reader, TF_ERR_TRUNCATED);
        return 0;
    }
    uint32_t argument = 0;
    for (size_t i = 0; i < length; i++) {
        argument = argument << 8 | *reader->at++;
    }
    uint32_t least = info == 24 ? 24 : (uint32_t)1 << (4 * length);
    if (argument < least) {
        fail(reader, TF_ERR_NOT_CANONICAL);
        return 0;
    }
    return argument;
}

uint32_t tf_read_head(struct tf_reader *reader, enum tf_major major)
{
    unsigned found = 0;
    uint32_t argument = 0;
    if (reader->error == TF_OK) {
        argument = any_head(reader, &found);
    }
    if (reader->error == TF_OK && found != (unsigned)major) {
        fail(reader, TF_ERR_UNEXPECTED);
    }
    if (reader->error == TF_OK && (major == TF_BSTR || major == TF_TSTR) && argument > left(reader)) {
        fail(reader, TF_ERR_TRUNCATED);
    }
    return reader->error == TF_OK ? argument : 0;
}

void tf_expect_head(struct tf_reader *reader, enum tf_major major, uint32_t argument)
{
    if (tf_read_head(reader, major) != argument) {
        fail(reader, TF_ERR_UNEXPECTED);
    }
}

void tf_expect_heads(struct tf_reader *reader, const uint8_t *heads, size_t length)
{
    struct tf_reader wanted;
    tf_reader_init(&wanted, (struct tf_view){heads, length});
    while (left(&wanted) > 0 && reader->error == TF_OK) {
        unsigned major = 0;
        uint32_t argument = any_head(&wanted, &major);
        tf_expect_head(reader, (enum tf_major)major, argument);
        if (major == TF_BSTR && argument <= left(&wanted) && reader->error == TF_OK) {
            if (!tf_same(reader->at, wanted.at, argument)) {
                fail(reader, TF_ERR_UNEXPECTED);
            }
            reader->at += argument;
            wanted.at += argument;
        }
    }
}

int32_t tf_read_int(struct tf_reader *reader)
{
    bool negative = tf_peek_type(reader) == TF_NINT;
    uint32_t argument = tf_read_head(reader, negative ? TF_NINT : TF_UINT);
    if (argument > INT32_MAX) {
        fail(reader, TF_ERR_OUT_OF_RANGE);
        return 0;
    }
    return negative ? -1 - (int32_t)argument : (int32_t)argument;
}

struct tf_view tf_read_bytes(struct tf_reader *reader)
{
    uint32_t length = tf_read_head(reader, TF_BSTR);
    struct tf_view view = {reader->at, length};
    if (reader->error == TF_OK) {
        reader->at += length;
    }
    return view;
}

const uint8_t *tf_read_bytes_of(struct tf_reader *reader, uint32_t length)
{
    struct tf_view view = tf_read_bytes(reader);
    if (view.size != length) {
        fail(reader, TF_ERR_UNEXPECTED);
    }
    return reader->error == TF_OK ? view.data : NULL;
}

struct tf_reader tf_reader_enter(struct tf_reader *reader)
{
    struct tf_reader inner;
    tf_reader_init(&inner, tf_read_bytes(reader));
    inner.error = reader->error;
    return inner;
}

void tf_reader_leave(struct tf_reader *reader, const struct tf_reader *inner)
{
    fail(reader, inner->error);
    if (left(inner) > 0) {
        fail(reader, TF_ERR_TRAILING);
    }
}

int tf_reader_end(struct tf_reader *reader)
{
    if (left(reader) > 0) {
        fail(reader, TF_ERR_TRAILING);
    }
    return reader->error;
}

void tf_write_raw(struct tf_writer *writer, const void *data, size_t length)
{
    if (length > 0 && writer->length + length <= writer->capacity) {
        memcpy(writer->data + writer->length, data, length);
    }
    writer->length += length;
}

void tf_write_head(struct tf_writer *writer, enum tf_major major, uint64_t argument)
{
    uint8_t head[9];
    unsigned info = argument < 24 ? 0 : argument <= 0xff ? 1 : argument <= 0xffff ? 2 : argument <= 0xffffffff ? 4 : 8;
    unsigned code = info == 0 ? (unsigned)argument : info == 1 ? 24 : info == 2 ? 25 : info == 4 ? 26 : 27;
    head[0] = (uint8_t)((unsigned)major << 5 | code);
    for (unsigned i = 0; i < info; i++) {
        head[1 + i] = (uint8_t)(argument >> (8 * (info - 1 - i)));
    }
    tf_write_raw(writer, head, 1 + info);
}

void tf_write_uint(struct tf_writer *writer, uint32_t value)
{
    tf_write_head(writer, TF_UINT, value);
}

void tf_write_int(struct tf_writer *writer, int64_t value)
{
    if (value < 0) {
        tf_write_head(writer, TF_NINT, (uint64_t)(-1 - value));
    } else {
        tf_write_head(writer, TF_UINT, (uint64_t)value);
    }
}

void tf_write_bytes(struct tf_writer *writer, const void *data, size_t length)
{
    tf_write_head(writer, TF_BSTR, length);
    tf_write_raw(writer, data, length);
}

void tf_write_text(struct tf_writer *writer, const char *text)
{
    tf_write_head(writer, TF_TSTR, strlen(text));
    tf_write_raw(writer, text, strlen(text));
}

void tf_write_null(struct tf_writer *writer)
{
    tf_write_head(writer, TF_SIMPLE, TF_CBOR_NULL);
}
