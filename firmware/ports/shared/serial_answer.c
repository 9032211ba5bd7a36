/* SPDX-License-Identifier: Apache-2.0 */
#include "serial_answer.h"

int serial_answer(struct tf_agent *agent, const struct tf_frame_receiver *receiver, bool corrected, uint8_t *answer,
                  uint8_t *out, size_t capacity)
{
    const uint8_t asked = receiver->address;
    const int length =
        tf_agent_handle(agent, receiver->message, receiver->length, corrected, answer, SERIAL_ANSWER_BYTES);

    if (length <= 0 || asked == SERIAL_BROADCAST) {
        return length < 0 ? length : 0;
    }
    return (int)tf_frame_encode(out, capacity, asked, answer, (size_t)length);
}
