/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All compile-time sizes of the agent. A port overrides them with -DTF_...=; nothing else in the sources is meant to be
 * changed. docs/porting.md says what each one costs.
 */
#ifndef TINYFLEET_CONFIG_H
#define TINYFLEET_CONFIG_H

/* Largest message in either direction (docs/specs/protocol.md, section 5). */
#ifndef TF_MESSAGE_MAX
#define TF_MESSAGE_MAX 1152
#endif

/* Largest block that this device accepts, reported in its capabilities. Costs no RAM of its own. */
#ifndef TF_BLOCK_MAX
#define TF_BLOCK_MAX 1024
#endif

/* Most blocks in one transfer (docs/specs/protocol.md, section 5). */
#define TF_BLOCKS_MAX 4096

/* Shortest time that the gateway must leave between two blocks, reported in the capabilities. */
#ifndef TF_BLOCK_MS
#define TF_BLOCK_MS 0
#endif

/*
 * Longest time from the end of a question to the first byte of the answer, reported in the capabilities when it is more than
 * the 2,000 ms that every gateway allows. The longest one checks two signatures (docs/porting.md, Answer time).
 */
#ifndef TF_ANSWER_MS
#define TF_ANSWER_MS 2000
#endif

/* Largest envelope as sent, with its delegation, and as stored, without it (docs/specs/envelope.md, section 3). */
#define TF_ENVELOPE_MAX 512
#define TF_ENVELOPE_KEPT_MAX 288

/* Largest rotation of the root, and largest delegation next to it (docs/specs/rotation.md, section 2). */
#define TF_ROTATION_MAX 160
#define TF_DELEGATION_MAX 176

/* Most parameters that can be set for one model (docs/specs/envelope.md, section 2). */
#define TF_PARAMETERS_MAX 8

/* Most pre-baked packs on a device. */
#define TF_PREBAKED_MAX 8

/* Longest type name and firmware version, and longest fleet and device name, without the terminating zero. */
#define TF_TYPE_MAX 31
#define TF_NAME_MAX 63

/* Starts that a model on trial gets. With 1, a power cut in the first second of a trial would reject the model. */
#ifndef TF_TRIAL_BOOTS
#define TF_TRIAL_BOOTS 2
#endif

/*
 * A confirmed model is rejected after this many consecutive faults: it may fault on input that the trial never saw. Running
 * for TF_HEALTHY_MS without a fault resets the count.
 */
#ifndef TF_FAULTS_MAX
#define TF_FAULTS_MAX 5
#endif
#ifndef TF_HEALTHY_MS
#define TF_HEALTHY_MS 60000
#endif

/* How long a trial waits for its first inferences (hal.h). After that the golden vectors alone decide: the sensor may be silent. */
#ifndef TF_TRIAL_MS
#define TF_TRIAL_MS 60000
#endif

/* Most corrected blocks that are remembered until the pack's digest is checked. With more, a wrong digest restarts the transfer. */
#ifndef TF_CORRECTED_MAX
#define TF_CORRECTED_MAX 32
#endif

/* Window of the heatshrink decoder as a power of two; must match the encoder (docs/specs/patch.md). Costs 2^n bytes of RAM. */
#define TF_WINDOW_BITS 8
#define TF_LOOKAHEAD_BITS 4

/* Largest write granularity of a port. */
#define TF_WRITE_SIZE_MAX 32

/* Most bytes that one call of tf_agent_poll() hashes, copies or decodes. */
#ifndef TF_SLICE_BYTES
#define TF_SLICE_BYTES 2048
#endif

/*
 * How many samples a device keeps in a storm (docs/specs/samples.md, section 3). A token is 32 bytes of flash. With these
 * values each log writes 28,800 bytes an hour for long, and 16 KiB at once.
 */
#ifndef TF_SAMPLE_BURST_TOKENS
#define TF_SAMPLE_BURST_TOKENS 512
#endif
#ifndef TF_SAMPLE_TOKEN_MS
#define TF_SAMPLE_TOKEN_MS 4000
#endif

#ifndef TF_FIRMWARE_VERSION
#define TF_FIRMWARE_VERSION "0.1.0"
#endif

#endif
