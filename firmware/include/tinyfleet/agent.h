/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device agent. The caller owns struct tf_agent and everything it points to; nothing is allocated.
 *
 * Call order: tf_agent_init, tf_agent_boot, then tf_agent_handle for each message, tf_agent_poll from the main loop and
 * tf_agent_infer for each input window, all from one thread. After the port's reset() has been called, only
 * tf_agent_init is allowed.
 *
 * What survives power loss, at any instant: which model runs, the envelope and pack of both slots, the highest accepted
 * sequence, the delegation, the parameters, and the blocks of an open transfer except the one being written.
 */
#ifndef TINYFLEET_AGENT_H
#define TINYFLEET_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/config.h"
#include "tinyfleet/engine.h"
#include "tinyfleet/error.h"
#include "tinyfleet/hal.h"
#include "tinyfleet/state.h"

/* Result of tf_agent_poll(); bits. */
enum tf_poll {
    TF_POLL_WORK = 1,   /* work is left: poll again soon, do not sleep */
    TF_POLL_REPORT = 2, /* the state changed: a device that may send unsolicited messages sends tf_agent_report() */
    TF_POLL_REQUEST = 4, /* a request waits: such a device sends tf_operations_request() (operations.h) */
};

/* Bind port, engines and arena. Does not touch flash. TF_ERR_GEOMETRY: the port's geometry is invalid. */
TF_MUST_CHECK int tf_agent_init(struct tf_agent *agent, const struct tf_hal *hal, const struct tf_engine *const *engines,
                                size_t engine_count, struct tf_arena arena);

/* Let the agent keep samples (samples.h), between tf_agent_init() and tf_agent_boot(). Without a recorder it keeps none. */
void tf_agent_keep_samples(struct tf_agent *agent, const struct tf_recorder *recorder, struct tf_sampler *sampler);

/* Let the agent run stages of pipelines (stage.h), between tf_agent_init() and tf_agent_boot(). Otherwise it refuses them. */
void tf_agent_run_stages(struct tf_agent *agent, const struct tf_stage_part *part, struct tf_stage *stage);

/* Let the gateway call functions of the device (operations.h), between tf_agent_init() and tf_agent_boot(). */
void tf_agent_serve_operations(struct tf_agent *agent, const struct tf_operations_part *part, struct tf_operations *operations);

/*
 * Read identity and journal, choose the model to run (trial, confirmed, previous, pre-baked), verify its envelope and
 * digest, and open it. Returns TF_OK even when no model can run: the agent then waits for one. An error means that the
 * device was never provisioned or that its flash is broken.
 */
TF_MUST_CHECK int tf_agent_boot(struct tf_agent *agent);

/*
 * Process one message of protocol.md and write the answer to reply, which must not overlap message. Returns the length
 * of the answer, 0 for none, or a negative error of the caller's (a buffer that is too small). A bad message is counted
 * and is not an error. corrected: a bit of the frame was corrected (frame.h); false over MQTT.
 * Send the whole answer before the next tf_agent_poll(), which may restart the device.
 */
TF_MUST_CHECK int tf_agent_handle(struct tf_agent *agent, const uint8_t *message, size_t length, bool corrected,
                                  uint8_t *reply, size_t capacity);

/* Do a bounded slice of the current job. Returns bits of enum tf_poll. Call at least once a second. */
TF_MUST_CHECK int tf_agent_poll(struct tf_agent *agent, uint32_t now_ms);

/* Write an unsolicited signed report (empty nonce) as a message. Returns its length, or a negative error. */
TF_MUST_CHECK int tf_agent_report(struct tf_agent *agent, uint8_t *reply, size_t capacity);

/* Run the model on one input window and update the counters. TF_OK, TF_ERR_NOTHING, TF_ERR_INPUT, TF_ERR_BUSY while a session of a pipeline is open, or the engine's error. */
TF_MUST_CHECK int tf_agent_infer(struct tf_agent *agent, const uint8_t *input, size_t length, struct tf_verdict *verdict);

/*
 * The sensor gave no data, or invalid data: sets flag 7 of the report, and resets the state of the model, since the next
 * input does not follow the last one. A trial stops waiting for inferences.
 */
void tf_agent_input_missing(struct tf_agent *agent);

/* Set the state of the model to its initial values: the next input does not follow the last one. Models without state ignore it. */
void tf_agent_reset_state(struct tf_agent *agent);

/* The device's identity, for topics and the serial address. Valid after tf_agent_boot(). */
const struct tf_identity *tf_agent_identity(const struct tf_agent *agent);

/* SHA-256 of the pack that runs, or NULL. */
const uint8_t *tf_agent_running(const struct tf_agent *agent);

#endif
