/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serial frames (docs/specs/protocol.md, section 3): COBS, address, CRC-32, correction of one flipped bit.
 *
 * To receive, pass every byte to tf_frame_push(), from a loop or an interrupt. It takes a few instructions per byte, and
 * one pass over the frame at its end (two when the CRC is wrong). When it returns TF_FRAME_READY or TF_FRAME_CORRECTED,
 * address, message and length are valid until the next push.
 */
#ifndef TINYFLEET_FRAME_H
#define TINYFLEET_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/error.h"

/* Bytes that a frame adds to a message before COBS: address and CRC-32. */
#define TF_FRAME_OVERHEAD 5

/* Size of the receive buffer for messages of n bytes. */
#define TF_FRAME_BUFFER(n) ((n) + TF_FRAME_OVERHEAD)

/* Most bytes on the line for a message of n bytes, including both delimiters. */
#define TF_FRAME_ENCODED_MAX(n) (((n) + TF_FRAME_OVERHEAD) + ((n) + TF_FRAME_OVERHEAD) / 254 + 1 + 2)

enum tf_frame_event {
    TF_FRAME_NONE = 0,
    TF_FRAME_READY,     /* a frame whose CRC is right */
    TF_FRAME_CORRECTED, /* a frame whose CRC is right after one bit was flipped back */
    TF_FRAME_BAD,       /* the bytes up to here were not a valid frame */
};

struct tf_frame_receiver {
    uint8_t *buffer;
    size_t capacity;
    size_t filled;
    uint8_t left;      /* bytes until the next COBS code */
    uint8_t code;      /* the current COBS code; 0 before the first */
    uint8_t broken;    /* drop everything up to the next 00 */
    /* valid after READY or CORRECTED */
    uint8_t address;
    const uint8_t *message;
    size_t length;
};

void tf_frame_init(struct tf_frame_receiver *receiver, uint8_t *buffer, size_t capacity);

TF_MUST_CHECK enum tf_frame_event tf_frame_push(struct tf_frame_receiver *receiver, uint8_t byte);

/* Write a whole frame with a 00 before and after it. Returns its length, or 0 when it does not fit. */
TF_MUST_CHECK size_t tf_frame_encode(uint8_t *out, size_t capacity, uint8_t address, const uint8_t *message, size_t length);

#endif
