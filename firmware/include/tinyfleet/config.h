/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every size that the agent fixes at compile time. A port overrides one with -DTF_...=; nothing else in the
 * sources is meant to be changed. docs/porting.md says what each costs.
 */
#ifndef TINYFLEET_CONFIG_H
#define TINYFLEET_CONFIG_H

/* Largest message, both ways (docs/specs/protocol.md, section 5). */
#ifndef TF_MESSAGE_MAX
#define TF_MESSAGE_MAX 1152
#endif

/* Largest block that this device takes; told in its capabilities. Costs no RAM of its own. */
#ifndef TF_BLOCK_MAX
#define TF_BLOCK_MAX 1024
#endif

/* Most blocks in one transfer (docs/specs/protocol.md, section 5). */
#define TF_BLOCKS_MAX 4096

/* Least time between two blocks that the gateway must leave, told in the capabilities. */
#ifndef TF_BLOCK_MS
#define TF_BLOCK_MS 0
#endif

/* Largest envelope as it travels, its delegation included, and as it is kept, without (docs/specs/envelope.md, section 3). */
#define TF_ENVELOPE_MAX 512
#define TF_ENVELOPE_KEPT_MAX 304

/* Parameters that one model may have set (docs/specs/envelope.md, section 2). */
#define TF_PARAMETERS_MAX 8

/* Pre-baked packs that a device may carry. */
#define TF_PREBAKED_MAX 8

/* Longest type name and firmware version, and longest fleet and device name, without the closing zero. */
#define TF_TYPE_MAX 31
#define TF_NAME_MAX 63

/* Starts that an unconfirmed model gets. With 1, a power cut in the first second of a trial would count as its failure. */
#ifndef TF_TRIAL_BOOTS
#define TF_TRIAL_BOOTS 2
#endif

/* Faults in a row that a confirmed model gets; time without one that ends the row. A model may fault on what only today's sensor gives. */
#ifndef TF_FAULTS_MAX
#define TF_FAULTS_MAX 5
#endif
#ifndef TF_HEALTHY_MS
#define TF_HEALTHY_MS 60000
#endif

/* How long a trial waits for the first inferences (hal.h) before the golden vectors alone decide: the sensor may be silent. */
#ifndef TF_TRIAL_MS
#define TF_TRIAL_MS 60000
#endif

/* Corrected blocks that are remembered until the pack's digest has spoken; with more, a wrong digest starts the transfer again. */
#ifndef TF_CORRECTED_MAX
#define TF_CORRECTED_MAX 32
#endif

/* Window of the heatshrink decoder, as a power of two: what payloads are compressed with (docs/specs/patch.md). Costs 2^n bytes of RAM. */
#define TF_WINDOW_BITS 8
#define TF_LOOKAHEAD_BITS 4

/* Largest write granularity of a port. */
#define TF_WRITE_SIZE_MAX 32

/* Bytes that one call of tf_agent_poll() hashes, copies or decodes at most. */
#ifndef TF_SLICE_BYTES
#define TF_SLICE_BYTES 2048
#endif

#ifndef TF_FIRMWARE_VERSION
#define TF_FIRMWARE_VERSION "0.1.0"
#endif

#endif
