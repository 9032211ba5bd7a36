/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serial frames (docs/specs/protocol.md, section 3): COBS, address, CRC-32, one flipped bit mended.
 *
 * Receiving: give every byte to tf_frame_push(), in a loop or from an interrupt; it does a few instructions a byte, and
 * at the end of a frame one pass over it (two when the CRC is wrong). When it returns TF_FRAME_READY or
 * TF_FRAME_CORRECTED, address, message and length are valid until the next push.
 */
#ifndef TINYFLEET_FRAME_H
#define TINYFLEET_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/error.h"

/* Bytes that a frame adds to a message before COBS: address and CRC-32. */
#define TF_FRAME_OVERHEAD 5

/* Buffer that a receiver needs for messages of n bytes. */
#define TF_FRAME_BUFFER(n) ((n) + TF_FRAME_OVERHEAD)

/* Bytes on the line for a message of n bytes, both delimiters included, at most. */
#define TF_FRAME_ENCODED_MAX(n) (((n) + TF_FRAME_OVERHEAD) + ((n) + TF_FRAME_OVERHEAD) / 254 + 1 + 2)

enum tf_frame_event {
    TF_FRAME_NONE = 0,
    TF_FRAME_READY,     /* a frame with a right CRC */
    TF_FRAME_CORRECTED, /* a frame that has a right CRC after one bit was flipped back */
    TF_FRAME_BAD,       /* something that is not a frame ended here */
};

struct tf_frame_receiver {
    uint8_t *buffer;
    size_t capacity;
    size_t filled;
    uint8_t left;      /* bytes to the next COBS code */
    uint8_t code;      /* the code in force; 0 before the first */
    uint8_t broken;    /* dropped up to the next 00 */
    /* Valid after READY or CORRECTED: */
    uint8_t address;
    const uint8_t *message;
    size_t length;
};

void tf_frame_init(struct tf_frame_receiver *receiver, uint8_t *buffer, size_t capacity);

TF_MUST_CHECK enum tf_frame_event tf_frame_push(struct tf_frame_receiver *receiver, uint8_t byte);

/* Write a whole frame, 00 before and after. Returns its length, or 0 when it does not fit. */
TF_MUST_CHECK size_t tf_frame_encode(uint8_t *out, size_t capacity, uint8_t address, const uint8_t *message, size_t length);

/* CRC-32 of protocol.md, section 3. crc is 0 at first, the last result when continued. */
TF_MUST_CHECK uint32_t tf_crc32(uint32_t crc, const void *data, size_t length);

#endif
