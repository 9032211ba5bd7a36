/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of bytes from the line. Every accepted frame must give the same message again when it is encoded and received. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "tinyfleet/frame.h"

#define MESSAGE_MAX 300

static void send_and_take(const struct tf_frame_receiver *taken)
{
    static uint8_t frame[TF_FRAME_ENCODED_MAX(MESSAGE_MAX)];
    static uint8_t buffer[TF_FRAME_BUFFER(MESSAGE_MAX)];
    struct tf_frame_receiver receiver;
    enum tf_frame_event event = TF_FRAME_NONE;
    const size_t length = tf_frame_encode(frame, sizeof frame, taken->address, taken->message, taken->length);
    tf_frame_init(&receiver, buffer, sizeof buffer);
    for (size_t i = 0; i < length; i++) {
        const enum tf_frame_event next = tf_frame_push(&receiver, frame[i]);
        event = next != TF_FRAME_NONE ? next : event;
    }
    FUZZ_HOLDS(event == TF_FRAME_READY && receiver.address == taken->address && receiver.length == taken->length &&
               memcmp(receiver.message, taken->message, taken->length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *buffer = malloc(TF_FRAME_BUFFER(MESSAGE_MAX));
    struct tf_frame_receiver receiver;
    tf_frame_init(&receiver, buffer, TF_FRAME_BUFFER(MESSAGE_MAX));
    for (size_t i = 0; i < size; i++) {
        const enum tf_frame_event event = tf_frame_push(&receiver, data[i]);
        if (event == TF_FRAME_READY || event == TF_FRAME_CORRECTED) {
            send_and_take(&receiver);
        }
    }
    free(buffer);
    return 0;
}
