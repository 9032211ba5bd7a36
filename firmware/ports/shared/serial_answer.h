/* SPDX-License-Identifier: Apache-2.0 */
/* From a frame that was received to the frame that answers it: what every serial port does the same way. */
#ifndef TINYFLEET_PORTS_SHARED_SERIAL_ANSWER_H
#define TINYFLEET_PORTS_SHARED_SERIAL_ANSWER_H

#include "tinyfleet/agent.h"
#include "tinyfleet/frame.h"

/* The longest answer is `have` with a bit for each of 4,096 blocks. */
#define SERIAL_ANSWER_BYTES 640
#define SERIAL_BROADCAST 0

/*
 * Give the frame that lies in the receiver to the agent, and write the frame that answers it to `out`. Its length, 0
 * for none (to a broadcast nobody answers), or a negative error of the agent's. `out` may be the receiver's own buffer
 * if that is at least TF_FRAME_ENCODED_MAX(SERIAL_ANSWER_BYTES) long: the message is done with by then. `answer` has
 * SERIAL_ANSWER_BYTES for the message in between; a small device keeps it off its stack, which is deepest just then.
 */
TF_MUST_CHECK int serial_answer(struct tf_agent *agent, const struct tf_frame_receiver *receiver, bool corrected,
                                uint8_t *answer, uint8_t *out, size_t capacity);

#endif
