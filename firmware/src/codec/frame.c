/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyfleet/frame.h"

#include <stdbool.h>
#include <string.h>

#include "tinyfleet/crc32.h"

#define CRC_BYTES 4

void tf_frame_init(struct tf_frame_receiver *receiver, uint8_t *buffer, size_t capacity)
{
    memset(receiver, 0, sizeof *receiver);
    receiver->buffer = buffer;
    receiver->capacity = capacity;
}

static uint32_t load_le(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/*
 * Flip back the single bit that has this syndrome. CRC-32 is linear: the difference between the received and the computed
 * CRC depends only on which bits were flipped. Flipping the last bit of the data gives the polynomial; each bit further
 * from the end gives that divided by x once more (one step of the shift register). A flipped bit in the CRC field itself
 * gives a syndrome with one bit set.
 */
static bool correct_bit(uint8_t *data, size_t length, uint32_t syndrome)
{
    if ((syndrome & (syndrome - 1)) == 0) {
        return true; /* the flipped bit is in the CRC field: the data are right */
    }
    uint32_t of_bit = TF_CRC32_POLYNOMIAL; /* syndrome of bit 7 of the last byte */
    for (size_t i = length; i-- > 0;) {
        for (unsigned bit = 8; bit-- > 0;) {
            if (of_bit == syndrome) {
                data[i] ^= (uint8_t)(1u << bit);
                return true;
            }
            of_bit = (of_bit & 1) != 0 ? of_bit >> 1 ^ TF_CRC32_POLYNOMIAL : of_bit >> 1;
        }
    }
    return false;
}

static enum tf_frame_event finish(struct tf_frame_receiver *receiver)
{
    size_t length = receiver->filled;
    if (receiver->broken || receiver->left != 0 || length <= TF_FRAME_OVERHEAD) {
        return TF_FRAME_BAD;
    }
    size_t covered = length - CRC_BYTES;
    uint32_t syndrome = tf_crc32(0, receiver->buffer, covered) ^ load_le(receiver->buffer + covered);
    if (syndrome != 0 && !correct_bit(receiver->buffer, covered, syndrome)) {
        return TF_FRAME_BAD;
    }
    receiver->address = receiver->buffer[0];
    receiver->message = receiver->buffer + 1;
    receiver->length = covered - 1;
    return syndrome == 0 ? TF_FRAME_READY : TF_FRAME_CORRECTED;
}

static void append(struct tf_frame_receiver *receiver, uint8_t byte)
{
    if (receiver->filled == receiver->capacity) {
        receiver->broken = 1;
    } else {
        receiver->buffer[receiver->filled++] = byte;
    }
}

enum tf_frame_event tf_frame_push(struct tf_frame_receiver *receiver, uint8_t byte)
{
    if (byte == 0) {
        bool empty = receiver->code == 0;
        enum tf_frame_event event = empty ? TF_FRAME_NONE : finish(receiver);
        receiver->filled = 0;
        receiver->left = 0;
        receiver->code = 0;
        receiver->broken = 0;
        return event;
    }
    if (receiver->broken) {
        return TF_FRAME_NONE;
    }
    if (receiver->left > 0) {
        receiver->left--;
        append(receiver, byte);
        return TF_FRAME_NONE;
    }
    if (receiver->code != 0 && receiver->code != 0xff) {
        append(receiver, 0); /* the zero that the last code stands for */
    }
    receiver->code = byte;
    receiver->left = (uint8_t)(byte - 1);
    return TF_FRAME_NONE;
}

struct encoder {
    uint8_t *out;
    size_t capacity;
    size_t length;
    size_t code_at;
    uint8_t code;
};

static void put(struct encoder *encoder, uint8_t byte)
{
    if (encoder->length < encoder->capacity) {
        encoder->out[encoder->length] = byte;
    }
    encoder->length++;
}

static void close_run(struct encoder *encoder)
{
    if (encoder->code_at < encoder->capacity) {
        encoder->out[encoder->code_at] = encoder->code;
    }
}

static void open_run(struct encoder *encoder)
{
    encoder->code_at = encoder->length;
    encoder->code = 1;
    put(encoder, 0);
}

static void encode(struct encoder *encoder, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (encoder->code == 0xff) {
            close_run(encoder);
            open_run(encoder);
        }
        if (bytes[i] == 0) {
            close_run(encoder);
            open_run(encoder);
        } else {
            put(encoder, bytes[i]);
            encoder->code++;
        }
    }
}

size_t tf_frame_encode(uint8_t *out, size_t capacity, uint8_t address, const uint8_t *message, size_t length)
{
    struct encoder encoder = {.out = out, .capacity = capacity};
    uint32_t crc = tf_crc32(tf_crc32(0, &address, 1), message, length);
    const uint8_t tail[CRC_BYTES] = {(uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16), (uint8_t)(crc >> 24)};
    put(&encoder, 0);
    open_run(&encoder);
    encode(&encoder, &address, 1);
    encode(&encoder, message, length);
    encode(&encoder, tail, sizeof tail);
    close_run(&encoder);
    put(&encoder, 0);
    return encoder.length <= capacity ? encoder.length : 0;
}
