/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device agent. The caller owns struct tf_agent and everything it points to; nothing is allocated.
 *
 * Call order: tf_agent_init, tf_agent_boot, then tf_agent_handle for each message, tf_agent_poll from the main loop,
 * tf_agent_infer for each input window. One thread. After the port's reset() was called, only tf_agent_init is allowed.
 *
 * What survives power loss, at any instant: the choice of model, the envelope and pack of both slots, the highest
 * accepted sequence, the delegation, parameters, and which blocks of a transfer are held (less the one being written).
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
#include "tinyfleet/work.h"

/* Placed by the caller; its fields are the core's own. */
struct tf_agent {
    struct tf_hal hal;
    const struct tf_engine *const *engines;
    size_t engine_count;
    struct tf_arena arena;
    struct tf_identity identity;
    struct tf_journal journal;
    struct tf_running running;
    struct tf_work work;
    struct tf_scores scores;
    struct tf_counters counters;
};

/* What tf_agent_poll() says; bits. */
enum tf_poll {
    TF_POLL_WORK = 1,   /* work is left: poll again soon, do not sleep */
    TF_POLL_REPORT = 2, /* the state changed: a device that may speak unasked sends tf_agent_report() */
};

/* Bind port, engines and arena. Touches no flash. TF_ERR_GEOMETRY when the port's geometry can't be. */
TF_MUST_CHECK int tf_agent_init(struct tf_agent *agent, const struct tf_hal *hal, const struct tf_engine *const *engines,
                                size_t engine_count, struct tf_arena arena);

/*
 * Read identity and journal, choose what runs (trial, confirmed, previous, pre-baked), verify its envelope and digest,
 * and open it. TF_OK as well when no model can run: then the agent waits for one. An error means that the device was
 * never provisioned or its flash is broken.
 */
TF_MUST_CHECK int tf_agent_boot(struct tf_agent *agent);

/*
 * Take one message of protocol.md and write the answer. Returns the length of the answer, 0 for none, or a negative
 * error of the caller's (a too small buffer); a bad message is counted and is not an error. corrected: the frame that
 * carried it had a bit mended (frame.h); false over MQTT. reply may not overlap message. Send the whole answer before the
 * next tf_agent_poll(), which may restart the device.
 */
TF_MUST_CHECK int tf_agent_handle(struct tf_agent *agent, const uint8_t *message, size_t length, bool corrected,
                                  uint8_t *reply, size_t capacity);

/* Do a bounded slice of whatever is under way; bits of enum tf_poll. Call at least every second. */
TF_MUST_CHECK int tf_agent_poll(struct tf_agent *agent, uint32_t now_ms);

/* A signed report that nobody asked for (empty nonce), as a message. Length, or a negative error. */
TF_MUST_CHECK int tf_agent_report(struct tf_agent *agent, uint8_t *reply, size_t capacity);

/* Run the model on one input window, and count. TF_OK, TF_ERR_NOTHING, TF_ERR_INPUT or the engine's error. */
TF_MUST_CHECK int tf_agent_infer(struct tf_agent *agent, const uint8_t *input, size_t length, struct tf_verdict *verdict);

/* Note that the sensor gave nothing, or nonsense: flag 7 of the report. A trial stops waiting for inferences. */
void tf_agent_input_missing(struct tf_agent *agent);

/* Who this device is, after tf_agent_boot(): for topics and the serial address. */
const struct tf_identity *tf_agent_identity(const struct tf_agent *agent);

/* SHA-256 of what runs, or NULL. */
const uint8_t *tf_agent_running(const struct tf_agent *agent);

#endif
