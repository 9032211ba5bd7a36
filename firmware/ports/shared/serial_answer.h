/* SPDX-License-Identifier: Apache-2.0 */
/* From a received frame to the frame that answers it, the same for every serial port. */
#ifndef TINYFLEET_PORTS_SHARED_SERIAL_ANSWER_H
#define TINYFLEET_PORTS_SHARED_SERIAL_ANSWER_H

#include "tinyfleet/agent.h"
#include "tinyfleet/frame.h"

/* The longest answer is `have` with a bit for each of 4,096 blocks. */
#define SERIAL_ANSWER_BYTES 640
#define SERIAL_BROADCAST 0

/*
 * Pass the frame in the receiver to the agent, and write the answering frame to `out`. Returns its length, 0 for none (a
 * broadcast is not answered), or a negative error of the agent. `out` may be the receiver's own buffer if that has at
 * least TF_FRAME_ENCODED_MAX(SERIAL_ANSWER_BYTES) bytes: the message is no longer needed by then. `answer` has
 * SERIAL_ANSWER_BYTES bytes for the message in between; keep it off the stack of a small device, which is deepest then.
 */
TF_MUST_CHECK int serial_answer(struct tf_agent *agent, const struct tf_frame_receiver *receiver, bool corrected,
                                uint8_t *answer, uint8_t *out, size_t capacity);

#endif
