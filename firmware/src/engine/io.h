/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs, outputs and golden vectors of packs of kinds 1 and 2 (docs/specs/pack.md, sections 2 and 4). */
#ifndef TF_ENGINE_IO_H
#define TF_ENGINE_IO_H

#include <stdbool.h>

#include "tinyfleet/pack.h"

#define TF_INT8 1
#define TF_INT16 2
#define TF_INT32 3
#define TF_NO_TENSOR 0xffff

/* The descriptor of an input or an output. */
struct tf_io_tensor {
    uint8_t type, rank;
    uint16_t tensor;
    uint16_t dims[4];
    uint32_t bytes;
};

/* The totals of section IO. */
struct tf_io {
    uint32_t inputs, count; /* inputs come first */
    uint32_t input_bytes;   /* of all inputs, concatenated */
    uint32_t padded_input_bytes, padded_output_bytes;
};

/* Read section IO and check the part of rule 4 that applies to both kinds. */
TF_MUST_CHECK int tf_io_read(const struct tf_pack *pack, struct tf_io *io);

/* Read the descriptor at *at of section IO, and move *at past it. The first one is at 4. */
TF_MUST_CHECK int tf_io_tensor_read(struct tf_section section, uint32_t *at, struct tf_io_tensor *tensor);

#define TF_GOLDEN_DIGEST_BYTES 32

/* A golden vector: its inputs (only when seed is 0), and the expected outputs, or for a stage their SHA-256. */
struct tf_golden {
    uint32_t seed;
    uint32_t steps; /* consecutive inferences; 1 without STATE */
    const uint8_t *input;
    const uint8_t *wanted;
};

/* Find golden vector number index: TF_OK, TF_NO_MORE past the last one, or TF_ERR_PACK. */
TF_MUST_CHECK int tf_golden_read(const struct tf_pack *pack, uint32_t index, struct tf_golden *vector);

/* Rule 21. */
TF_MUST_CHECK bool tf_check_golden(const struct tf_pack *pack, const struct tf_io *io);

static inline uint32_t tf_pad4(uint32_t bytes)
{
    return (bytes + 3) & ~3u;
}

#endif
