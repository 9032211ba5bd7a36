/* SPDX-License-Identifier: Apache-2.0 */
/* What kinds 1 and 2 of packs share: their ends and golden vectors (docs/specs/pack.md, sections 2 and 4). */
#ifndef TF_ENGINE_CHECK_H
#define TF_ENGINE_CHECK_H

#include <stdbool.h>

#include "engine/plan.h"

#define TF_INT8 1
#define TF_INT16 2
#define TF_INT32 3
#define TF_NO_TENSOR 0xffff

/* An input or an output. */
struct tf_end_point {
    uint8_t type, rank;
    uint16_t tensor;
    uint16_t dims[4];
    uint32_t bytes;
};

struct tf_ends {
    uint32_t inputs, count; /* inputs come first */
    uint32_t input_bytes;   /* one behind the other */
    uint32_t padded_input_bytes, padded_output_bytes;
};

/* Rule 4 as far as it concerns all kinds. */
TF_MUST_CHECK int tf_ends_read(const struct tf_pack *pack, struct tf_ends *ends);

/* The descriptor at *at of section IO, which is moved on: starts at 4. */
TF_MUST_CHECK int tf_end_point_read(struct tf_section io, uint32_t *at, struct tf_end_point *end);

/* A golden vector: the input, when seed is 0, and the outputs to expect. */
struct tf_golden {
    uint32_t seed;
    const uint8_t *input;
    const uint8_t *wanted;
};

/* Golden vector number index: TF_OK, TF_END when there is none such, or TF_ERR_PACK. */
TF_MUST_CHECK int tf_golden_read(const struct tf_pack *pack, uint32_t index, struct tf_golden *vector);

/* Rule 21. */
TF_MUST_CHECK bool tf_check_golden(const struct tf_pack *pack, const struct tf_ends *ends);

/* Rules 5, 6 and 16, and those for each operator. */
TF_MUST_CHECK int tf_check_plan(const struct tf_net *net);

static inline uint32_t tf_pad4(uint32_t bytes)
{
    return (bytes + 3) & ~3u;
}

#endif
