/* SPDX-License-Identifier: Apache-2.0 */
#include "payload/heatshrink.h"

#include <string.h>

#define WINDOW_MASK ((1u << TF_WINDOW_BITS) - 1)

void tf_heatshrink_init(struct tf_heatshrink *decoder)
{
    memset(decoder, 0, sizeof *decoder);
}

/* Read bits, most significant first. */
static int take(struct tf_heatshrink *decoder, struct tf_stream *stream, const struct tf_hal *hal, unsigned count)
{
    int value = 0;
    while (count-- > 0) {
        if (decoder->bit_count == 0) {
            int byte = tf_stream_byte(stream, hal);
            if (byte < 0) {
                return byte;
            }
            decoder->bits = (uint8_t)byte;
            decoder->bit_count = 8;
        }
        decoder->bit_count--;
        value = value << 1 | (decoder->bits >> decoder->bit_count & 1);
    }
    return value;
}

/* Read the head of a copy. */
static int begin_copy(struct tf_heatshrink *decoder, struct tf_stream *stream, const struct tf_hal *hal)
{
    int distance = take(decoder, stream, hal, TF_WINDOW_BITS);
    int count = distance < 0 ? distance : take(decoder, stream, hal, TF_LOOKAHEAD_BITS);
    if (count < 0) {
        return count;
    }
    decoder->distance = (uint16_t)(distance + 1);
    decoder->copy = (uint16_t)(count + 1);
    return TF_OK;
}

int tf_heatshrink_next(struct tf_heatshrink *decoder, struct tf_stream *stream, const struct tf_hal *hal)
{
    int byte = 0;
    if (decoder->copy == 0) {
        int tag = take(decoder, stream, hal, 1);
        byte = tag == 1 ? take(decoder, stream, hal, 8) : tag == 0 ? begin_copy(decoder, stream, hal) : tag;
        if (byte < 0) {
            return byte;
        }
    }
    if (decoder->copy > 0) {
        decoder->copy--;
        byte = decoder->window[(decoder->produced - decoder->distance) & WINDOW_MASK];
    }
    decoder->window[decoder->produced & WINDOW_MASK] = (uint8_t)byte;
    decoder->produced++;
    return byte;
}
