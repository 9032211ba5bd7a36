/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a pack on given inputs, and tells all that it gave. One request, one answer, both little-endian:
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

/* What a place to run on brings. */
struct runner_port {
    void *ctx;
    void (*write)(void *ctx, const void *bytes, size_t length);
    /* A counter that wraps at 2^32; 0 where there is none. */
    uint32_t (*instructions)(void);
};

/* Bytes of the request that begins with this head. */
uint64_t runner_request_bytes(const uint8_t head[RUNNER_HEAD_BYTES]);
uint32_t runner_arena_bytes(const uint8_t head[RUNNER_HEAD_BYTES]);

/* The request and the arena are aligned to 8; outputs has the arena's size and 1024 bytes more. */
void runner_answer(const struct runner_port *port, const uint8_t *request, uint8_t *arena, uint8_t *outputs);

#endif
