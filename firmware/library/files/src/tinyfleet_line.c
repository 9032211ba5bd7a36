/* SPDX-License-Identifier: Apache-2.0 */
/* A device on a serial line: frames in, frames out. */
#include "serial_answer.h"
#include "tinyfleet.h"

_Static_assert(TINYFLEET_ANSWER_BYTES == SERIAL_ANSWER_BYTES, "the buffer of the library is that of serial_answer()");

/* Half duplex: the gateway needs the time of three bytes after its question to release the line. */
#define TURN_MS 2u

void tinyfleet_line_init(struct tinyfleet_line *line, void (*write)(const uint8_t *bytes, size_t length))
{
    line->write = write;
    tf_frame_init(&line->receiver, line->buffer, sizeof line->buffer);
}

void tinyfleet_line_byte(struct tinyfleet *device, struct tinyfleet_line *line, uint8_t byte)
{
    const enum tf_frame_event event = tf_frame_push(&line->receiver, byte);

    if (event != TF_FRAME_READY && event != TF_FRAME_CORRECTED) {
        return;
    }
    const uint8_t mine = tf_agent_identity(&device->agent)->address;

    if (line->receiver.address != mine && line->receiver.address != SERIAL_BROADCAST) {
        return;
    }
    const uint32_t asked_ms = device->port.now_ms(device->port.ctx);
    const int length = serial_answer(&device->agent, &line->receiver, event == TF_FRAME_CORRECTED, device->answer, line->buffer, sizeof line->buffer);

    if (length > 0) {
        while (device->port.now_ms(device->port.ctx) - asked_ms < TURN_MS) {
        }
        line->write(line->buffer, (size_t)length);
    }
}
