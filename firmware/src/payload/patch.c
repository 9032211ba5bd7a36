/* SPDX-License-Identifier: Apache-2.0 */
#include "payload/patch.h"

#include <string.h>

#include "store/flash.h"

#define VERSION 1
#define HEAD_BYTES 6
#define SOURCE_MAX (1u << 24)
#define NUMBER_BITS_MAX 24
#define ESCAPE 15

enum operation { END = 0, INSERT = 1, SPARSE = 2, DENSE = 3 };

int tf_patch_init(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal, const struct tf_base *base)
{
    uint8_t head[HEAD_BYTES];
    memset(patch, 0, sizeof *patch);
    patch->tail_read = true; /* no operation is in progress */
    for (int i = 0; i < HEAD_BYTES; i++) {
        int byte = tf_stream_byte(stream, hal);
        if (byte < 0) {
            return byte == TF_ERR_STREAM ? TF_ERR_PATCH : byte;
        }
        head[i] = (uint8_t)byte;
    }
    if (head[0] != VERSION || head[1] > 1) {
        return TF_ERR_PATCH;
    }
    if (head[1] == 0) {
        return tf_all(head + 2, 0, 4) ? TF_OK : TF_ERR_PATCH;
    }
    if (base->digest == NULL || !tf_same(head + 2, base->digest, 4)) {
        return TF_ERR_PATCH;
    }
    patch->source_offset = base->offset;
    patch->source_bytes = base->size;
    return TF_OK;
}

/* Read bits, least significant first; TF_ERR_PATCH past the end. */
static int32_t take(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal, unsigned count)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        if (patch->bit_count == 0) {
            int byte = tf_stream_byte(stream, hal);
            if (byte < 0) {
                return byte == TF_ERR_STREAM ? TF_ERR_PATCH : byte;
            }
            patch->bits = (uint8_t)byte;
            patch->bit_count = 8;
        }
        value |= (uint32_t)(patch->bits & 1) << i;
        patch->bits >>= 1;
        patch->bit_count--;
    }
    return (int32_t)value;
}

static int32_t number(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal)
{
    unsigned zeros = 0;
    int32_t bit = take(patch, stream, hal, 1);
    while (bit == 0) {
        if (++zeros > NUMBER_BITS_MAX) {
            return TF_ERR_PATCH;
        }
        bit = take(patch, stream, hal, 1);
    }
    int32_t low = bit < 0 ? bit : take(patch, stream, hal, zeros);
    return low < 0 ? low : (int32_t)((1u << zeros) - 1) + low;
}

static int32_t rice(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal, unsigned k)
{
    int32_t ones = 0;
    int32_t bit = take(patch, stream, hal, 1);
    while (bit == 1 && ++ones < ESCAPE) {
        bit = take(patch, stream, hal, 1);
    }
    if (bit < 0) {
        return bit;
    }
    if (ones == ESCAPE) {
        return take(patch, stream, hal, 24);
    }
    int32_t low = take(patch, stream, hal, k);
    return low < 0 ? low : (int32_t)((uint32_t)ones << k) + low;
}

static int seek(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal)
{
    int32_t back = take(patch, stream, hal, 1);
    int32_t distance = back < 0 ? back : number(patch, stream, hal);
    if (distance < 0) {
        return distance;
    }
    if (back == 1 ? (uint32_t)distance > patch->src : (uint32_t)distance > SOURCE_MAX - patch->src) {
        return TF_ERR_PATCH;
    }
    patch->src = back == 1 ? patch->src - (uint32_t)distance : patch->src + (uint32_t)distance;
    return TF_OK;
}

/* Read the head of the next operation that produces output; TF_NO_MORE at END. */
static int begin(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal)
{
    int32_t operation = take(patch, stream, hal, 2);
    while (operation == END) {
        int32_t seeks = take(patch, stream, hal, 1);
        int error = seeks == 1 ? seek(patch, stream, hal) : seeks;
        if (seeks != 1 || error != TF_OK) {
            return seeks == 0 ? TF_NO_MORE : error;
        }
        operation = take(patch, stream, hal, 2);
    }
    int32_t first = operation == INSERT ? take(patch, stream, hal, 1) : operation == SPARSE ? take(patch, stream, hal, 4) : 0;
    int32_t value_bits = operation == INSERT ? 0 : take(patch, stream, hal, 3);
    int32_t count = number(patch, stream, hal);
    if (operation < 0 || first < 0 || value_bits < 0 || count < 0) {
        return TF_ERR_PATCH;
    }
    patch->operation = (uint8_t)operation;
    patch->moves = first == 1;
    patch->gap_bits = (uint8_t)first;
    patch->value_bits = (uint8_t)value_bits;
    patch->count = (uint32_t)count + (operation == SPARSE ? 0 : 1);
    patch->copy_read = operation != SPARSE;
    patch->tail_read = operation != SPARSE;
    return TF_OK;
}

static int advance(struct tf_patch *patch)
{
    patch->src++;
    return patch->src > SOURCE_MAX ? TF_ERR_PATCH : TF_OK;
}

/* The byte of the source at src, plus a difference. Past the end of the source it is 0. */
static int from_source(struct tf_patch *patch, const struct tf_hal *hal, int32_t difference)
{
    uint8_t byte = 0;
    if (patch->src < patch->source_bytes && tf_flash_read(hal, patch->source_offset + patch->src, &byte, 1) != TF_OK) {
        return TF_ERR_FLASH;
    }
    int error = advance(patch);
    return error != TF_OK ? error : (byte + difference) & 0xff;
}

static int changed(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal, int32_t offset)
{
    int32_t v = rice(patch, stream, hal, patch->value_bits);
    if (v < 0 || v + offset > 255) {
        return v < 0 ? v : TF_ERR_PATCH;
    }
    v += offset;
    return from_source(patch, hal, v % 2 == 0 ? v / 2 : -(v + 1) / 2);
}

static int inserted(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal)
{
    int32_t byte = take(patch, stream, hal, 8);
    int error = patch->moves && byte >= 0 ? advance(patch) : TF_OK;
    return error != TF_OK ? error : byte;
}

/* SPARSE: read how many bytes are copied before the next changed byte, or after the last one. */
static int begin_copy(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal)
{
    int32_t copy = patch->count > 0 ? rice(patch, stream, hal, patch->gap_bits) : number(patch, stream, hal);
    if (copy < 0) {
        return copy;
    }
    patch->copy = (uint32_t)copy;
    patch->copy_read = true;
    patch->tail_read = patch->count == 0;
    return TF_OK;
}

static int item(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal)
{
    patch->count--;
    patch->copy_read = false;
    if (patch->operation == INSERT) {
        return inserted(patch, stream, hal);
    }
    return changed(patch, stream, hal, patch->operation == SPARSE ? 1 : 0);
}

/* Read until a byte can be produced. TF_NO_MORE: the patch ends here. */
static int settle(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal)
{
    int error = TF_OK;
    while (error == TF_OK && patch->copy == 0) {
        if (!patch->tail_read && !patch->copy_read) {
            error = begin_copy(patch, stream, hal);
        } else if (patch->count > 0) {
            return TF_OK;
        } else {
            error = begin(patch, stream, hal);
        }
    }
    return error;
}

int tf_patch_next(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal)
{
    int error = settle(patch, stream, hal);
    if (error != TF_OK) {
        return error == TF_NO_MORE ? TF_ERR_PATCH : error;
    }
    if (patch->copy > 0) {
        patch->copy--;
        return from_source(patch, hal, 0);
    }
    return item(patch, stream, hal);
}

int tf_patch_end(struct tf_patch *patch, struct tf_stream *stream, const struct tf_hal *hal)
{
    int error = settle(patch, stream, hal);
    return error == TF_NO_MORE ? TF_OK : error == TF_OK ? TF_ERR_PATCH : error;
}
