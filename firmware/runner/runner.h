/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a pack on given inputs and returns all outputs. One request, one answer, both little-endian:
 *
 *   request: u32 bytes of the pack, u32 bytes of the arena, u32 bytes of an input, u32 number of inputs,
 *            u32 number of parameters (0: the pack's defaults); i32 for each; the pack; the inputs. All padded to 4.
 *   answer:  i32 verdict on the pack, i32 first golden vector that failed (-1: none); then for each input
 *            i32 error, i32 decision, i32 score, u32 instructions, u32 bytes of outputs, the outputs.
 *
 * A pack that is refused is not run: its answer ends after the verdict.
 */
#ifndef TINYFLEET_RUNNER_H
#define TINYFLEET_RUNNER_H

#include <stddef.h>
#include <stdint.h>

#define RUNNER_HEAD_BYTES 20u

/* What a target provides. */
struct runner_port {
    void *ctx;
    void (*write)(void *ctx, const void *bytes, size_t length);
    /* Instruction counter that wraps at 2^32; always 0 when there is none. */
    uint32_t (*instructions)(void);
};

/* Size of the request that starts with this header. */
uint64_t runner_request_bytes(const uint8_t head[RUNNER_HEAD_BYTES]);
uint32_t runner_arena_bytes(const uint8_t head[RUNNER_HEAD_BYTES]);

/* The request and the arena are aligned to 8. outputs has 1024 bytes more than the arena. */
void runner_answer(const struct runner_port *port, const uint8_t *request, uint8_t *arena, uint8_t *outputs);

#endif
