/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-ins of the boards and of virtual devices: 1 reads the sensor, 2 sets an output, 3 reads the sensor and asks for
 * operation 1 with what it read. A port that links no_builtins.c in place of builtins.c has none.
 */
#ifndef TINYFLEET_PORTS_SHARED_BUILTINS_H
#define TINYFLEET_PORTS_SHARED_BUILTINS_H

#include "tinyfleet/agent.h"

#define SENSED_SAMPLES 32u
#define SENSED_BYTES (2u * SENSED_SAMPLES)

struct builtins {
    struct tf_operations operations;
    struct tf_agent *agent;
    /* Read the sensor: SENSED_SAMPLES of int16, little-endian. */
    void (*sense)(void *owner, uint8_t *samples);
    void *owner;
    uint8_t result[SENSED_BYTES];
    uint8_t request[SENSED_BYTES];
    uint8_t output;
    int8_t code; /* of the last reply */
    uint32_t taken;   /* requests that a node has taken */
    uint32_t replies; /* final ones */
};

/* Between tf_agent_init() and tf_agent_boot(). */
void builtins_serve(struct builtins *builtins, struct tf_agent *agent, void (*sense)(void *owner, uint8_t *samples), void *owner);

/* Do what built-in 3 does. TF_OK, or TF_ERR_BUSY while an earlier request waits. */
TF_MUST_CHECK int builtins_store(struct builtins *builtins);

#endif
