/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tensors and the plan of a network, read in place (docs/specs/pack.md, sections 6.1 and 6.2). Packs and records are
 * aligned to 4 bytes and cores are little-endian, so a record is read as a struct.
 */
#ifndef TF_ENGINE_PLAN_H
#define TF_ENGINE_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/fixed_point.h"
#include "tinyfleet/pack.h"

/* For structs that overlay bytes in flash. */
#define TF_IN_PLACE __attribute__((may_alias))

#define TF_OPERATOR_COUNT 14u
#define TF_OPERATOR_SLICE 13u
#define TF_OPERATOR_STATE 14u /* no record: the engine keeps the tensors of section STATE */
#define TF_OPERATOR_SVDF 15u
#define TF_OPERATOR_LSTM 21u
#define TF_LSTM_GATES 4u
#define TF_LSTM_SCALES 9u

/* Two operators more, whose rows follow in the table. A build without them defines it as 0. */
#ifndef TF_RECURRENT
#define TF_RECURRENT 1
#endif
#if TF_RECURRENT
#define TF_OPERATOR_ROWS (TF_OPERATOR_COUNT + 2u)
#define TF_RECURRENT_OPERATORS (1u << TF_OPERATOR_SVDF | 1u << TF_OPERATOR_LSTM)
#else
#define TF_OPERATOR_ROWS TF_OPERATOR_COUNT
#define TF_RECURRENT_OPERATORS 0u
#endif
#define TF_TENSOR_CONSTANT 1u

struct TF_IN_PLACE tf_tensor {
    uint32_t offset;
    uint16_t dims[4]; /* N H W C */
    int8_t zero_point;
    uint8_t flags;
    uint16_t zero;
};

struct TF_IN_PLACE tf_record {
    uint8_t number;
    uint8_t words;
    uint16_t input;
    uint16_t output;
    int8_t low;
    int8_t high;
};

/* Offsets in WEIGHTS. */
struct TF_IN_PLACE tf_channel_arrays {
    uint32_t weights;
    uint32_t bias;
    uint32_t multipliers;
    uint32_t shifts;
};

struct TF_IN_PLACE tf_convolution_record {
    struct tf_record head;
    struct tf_channel_arrays arrays;
    uint16_t kernel[2]; /* height, width; the other pairs likewise */
    uint16_t stride[2];
    uint16_t dilation[2];
    uint16_t padding[2];
    uint16_t groups; /* depthwise: the depth multiplier */
    uint16_t band;   /* wide depthwise: output rows that share a plane; otherwise 0 */
};

/* The wide form, section 6.4. */
struct TF_IN_PLACE tf_wide_record {
    struct tf_convolution_record conv;
    uint32_t scratch; /* offset in the arena */
};

struct TF_IN_PLACE tf_dense_record {
    struct tf_record head;
    struct tf_channel_arrays arrays;
    uint8_t flags;
    uint8_t zero[3];
};

#define TF_DENSE_PER_CHANNEL 1u
#define TF_DENSE_WIDE 2u

struct TF_IN_PLACE tf_pool_record {
    struct tf_record head;
    uint16_t kernel[2];
    uint16_t stride[2];
    uint16_t padding[2];
};

struct TF_IN_PLACE tf_mean_record {
    struct tf_record head;
    int32_t multiplier;
    int8_t shift;
    uint8_t axes;
    uint16_t zero;
};

struct TF_IN_PLACE tf_add_record {
    struct tf_record head;
    uint16_t second;
    uint16_t zero;
    int32_t multipliers[3]; /* first input, second input, output */
    int8_t shifts[3];
    uint8_t zero_too;
};

struct TF_IN_PLACE tf_mul_record {
    struct tf_record head;
    uint16_t second;
    int8_t shift;
    uint8_t zero;
    int32_t multiplier;
};

struct TF_IN_PLACE tf_quantize_record {
    struct tf_record head;
    int32_t multiplier;
    int8_t shift;
    uint8_t zero[3];
};

struct TF_IN_PLACE tf_lookup_record {
    struct tf_record head;
    uint32_t table;
};

struct TF_IN_PLACE tf_softmax_record {
    struct tf_record head;
    int32_t multiplier;
    uint8_t shift;
    uint8_t zero;
    int16_t diff_min;
};

struct TF_IN_PLACE tf_pad_record {
    struct tf_record head;
    uint16_t before[4];
};

/* CONCATENATION and SLICE: blocks that are adjacent in one tensor, and a stride apart in the other. */
struct TF_IN_PLACE tf_strided_record {
    struct tf_record head;
    uint32_t block;
    uint32_t stride;
    uint32_t start;
};

struct TF_IN_PLACE tf_svdf_record {
    struct tf_record head;
    uint32_t weights;
    uint32_t feature_bias;
    uint32_t time_weights;
    uint32_t bias;
    int32_t multipliers[2]; /* of the newest value, of the output */
    int8_t shifts[2];
    uint16_t memory; /* tensor */
    uint16_t rank;
    uint16_t memory_size;
};

struct TF_IN_PLACE tf_lstm_record {
    struct tf_record head;
    uint32_t weights;
    uint32_t recurrent;
    uint32_t bias;
    uint32_t recurrent_bias;
    uint32_t multipliers;
    uint32_t shifts;
    uint16_t hidden; /* tensor */
    uint16_t cell;   /* tensor */
    uint16_t clip;
    uint8_t cell_bits;
    int8_t zero;
};

/* Section STATE: a tensor that keeps its values between inferences. */
struct TF_IN_PLACE tf_state_record {
    uint16_t tensor;
    int8_t fill; /* the initial value of every element */
    uint8_t zero;
};

_Static_assert(sizeof(struct tf_tensor) == 16 && sizeof(struct tf_record) == 8, "as the specification has it");
_Static_assert(sizeof(struct tf_convolution_record) == 44 && sizeof(struct tf_wide_record) == 48 && sizeof(struct tf_dense_record) == 28, "as above");
_Static_assert(sizeof(struct tf_state_record) == 4 && sizeof(struct tf_svdf_record) == 40 && sizeof(struct tf_lstm_record) == 40, "as above");
_Static_assert(sizeof(struct tf_add_record) == 28 && sizeof(struct tf_softmax_record) == 16, "as above");

/* A pack and its arena, as the operators see them. */
struct tf_net {
    const struct tf_tensor *tensors;
    uint32_t tensor_count;
    struct tf_section plan;
    struct tf_section weights;
    const struct tf_state_record *states; /* NULL: none */
    uint32_t state_count;
    uint8_t *arena; /* NULL during a check */
    uint32_t arena_bytes;
    bool has_wide_forms; /* format 2 */
};

/* One row of the table of operators, which the check and the inference share. */
struct tf_operator {
    uint8_t words;
    uint8_t wide_words; /* of the wide form, or 0 */
    TF_MUST_CHECK bool (*check)(const struct tf_net *net, const struct tf_record *record);
    void (*run)(const struct tf_net *net, const struct tf_record *record);
};

/* By operator number, the recurrent ones last. */
extern const struct tf_operator tf_operators[TF_OPERATOR_ROWS];

/* The row of an operator; not below TF_OPERATOR_ROWS if there is none. */
static inline uint32_t tf_operator_row(uint32_t number)
{
#if TF_RECURRENT
    if (number >= TF_OPERATOR_COUNT) {
        return number == TF_OPERATOR_SVDF ? TF_OPERATOR_COUNT : number == TF_OPERATOR_LSTM ? TF_OPERATOR_COUNT + 1u : TF_OPERATOR_ROWS;
    }
#endif
    return number;
}

TF_MUST_CHECK struct tf_net tf_net_view(const struct tf_pack *pack, uint8_t *arena);

static inline uint32_t tf_elements(const struct tf_tensor *tensor)
{
    return (uint32_t)tensor->dims[0] * tensor->dims[1] * tensor->dims[2] * tensor->dims[3];
}

static inline const int8_t *tf_input(const struct tf_net *net, const struct tf_tensor *tensor)
{
    const uint8_t *memory = (tensor->flags & TF_TENSOR_CONSTANT) != 0 ? net->weights.data : net->arena;
    return (const int8_t *)memory + tensor->offset;
}

static inline int8_t *tf_output(const struct tf_net *net, const struct tf_tensor *tensor)
{
    return (int8_t *)net->arena + tensor->offset;
}

static inline const int8_t *tf_weights(const struct tf_net *net, uint32_t offset)
{
    return (const int8_t *)net->weights.data + offset;
}

static inline struct tf_clamp tf_clamp_of(const struct tf_record *record, const struct tf_tensor *output)
{
    const int32_t zero = output->zero_point;
    return (struct tf_clamp){record->low - zero, record->high - zero, zero};
}

static inline bool tf_is_wide(const struct tf_record *record)
{
    return 4u * record->words == sizeof(struct tf_wide_record);
}

/* Quads of a filter of a wide convolution: each row of the kernel is padded to whole quads. */
static inline uint32_t tf_wide_quads(const struct tf_convolution_record *conv, uint32_t depth)
{
    return conv->kernel[0] * ((conv->kernel[1] * (depth / conv->groups) + 3) / 4);
}

/* The scratch of a wide depthwise convolution, in numbers of int16. */
struct tf_wide_plane {
    uint32_t band;         /* output rows */
    uint32_t taps;         /* of a filter, with each row padded to an even number; the plane follows */
    uint32_t width, pitch; /* of a row: what outputs read; with padding */
    uint32_t rows;
};

static inline struct tf_wide_plane tf_wide_plane(const struct tf_convolution_record *conv, uint32_t band, uint32_t columns)
{
    const uint32_t width = (columns - 1) * conv->stride[1] + conv->kernel[1];
    return (struct tf_wide_plane){
        .band = band,
        .taps = conv->kernel[0] * ((conv->kernel[1] + 1u) & ~1u),
        .width = width,
        .pitch = (width + 2) & ~1u,
        .rows = (band - 1) * conv->stride[0] + (conv->kernel[0] - 1u) * conv->dilation[0] + 1,
    };
}

/* A number of an array in WEIGHTS, which is aligned to 4 bytes. */
static inline int32_t tf_number(const int8_t *array, uint32_t index)
{
    int32_t value;
    __builtin_memcpy(&value, (const int8_t *)__builtin_assume_aligned(array, 4) + (size_t)4 * index, sizeof value);
    return value;
}

void tf_run_conv(const struct tf_net *net, const struct tf_record *record);
void tf_run_depthwise(const struct tf_net *net, const struct tf_record *record);
void tf_run_dense(const struct tf_net *net, const struct tf_record *record);
void tf_run_average_pool(const struct tf_net *net, const struct tf_record *record);
void tf_run_max_pool(const struct tf_net *net, const struct tf_record *record);
void tf_run_mean(const struct tf_net *net, const struct tf_record *record);
void tf_run_add(const struct tf_net *net, const struct tf_record *record);
/* With any multipliers and shifts, and with broadcasting; tf_run_add() calls it. */
void tf_run_any_add(const struct tf_net *net, const struct tf_record *record);
void tf_run_mul(const struct tf_net *net, const struct tf_record *record);
void tf_run_quantize(const struct tf_net *net, const struct tf_record *record);
void tf_run_lookup(const struct tf_net *net, const struct tf_record *record);
void tf_run_softmax(const struct tf_net *net, const struct tf_record *record);
void tf_run_pad(const struct tf_net *net, const struct tf_record *record);
void tf_run_strided_copy(const struct tf_net *net, const struct tf_record *record);
void tf_run_svdf(const struct tf_net *net, const struct tf_record *record);
void tf_run_lstm(const struct tf_net *net, const struct tf_record *record);

TF_MUST_CHECK bool tf_check_conv(const struct tf_net *net, const struct tf_record *record);
TF_MUST_CHECK bool tf_check_depthwise(const struct tf_net *net, const struct tf_record *record);
TF_MUST_CHECK bool tf_check_dense(const struct tf_net *net, const struct tf_record *record);
TF_MUST_CHECK bool tf_check_pool(const struct tf_net *net, const struct tf_record *record);
TF_MUST_CHECK bool tf_check_mean(const struct tf_net *net, const struct tf_record *record);
TF_MUST_CHECK bool tf_check_add(const struct tf_net *net, const struct tf_record *record);
TF_MUST_CHECK bool tf_check_mul(const struct tf_net *net, const struct tf_record *record);
TF_MUST_CHECK bool tf_check_quantize(const struct tf_net *net, const struct tf_record *record);
TF_MUST_CHECK bool tf_check_lookup(const struct tf_net *net, const struct tf_record *record);
TF_MUST_CHECK bool tf_check_softmax(const struct tf_net *net, const struct tf_record *record);
TF_MUST_CHECK bool tf_check_pad(const struct tf_net *net, const struct tf_record *record);
TF_MUST_CHECK bool tf_check_strided_copy(const struct tf_net *net, const struct tf_record *record);
TF_MUST_CHECK bool tf_check_svdf(const struct tf_net *net, const struct tf_record *record);
TF_MUST_CHECK bool tf_check_lstm(const struct tf_net *net, const struct tf_record *record);

/* Rule 23. bytes: of the section. */
TF_MUST_CHECK bool tf_check_states(const struct tf_net *net, uint32_t bytes);

/* Set all states to their initial values. */
void tf_reset_states(const struct tf_net *net);

/* Rules 5, 6 and 16, and the rules of each operator. */
TF_MUST_CHECK int tf_check_plan(const struct tf_net *net);

/* Is there such a tensor, in the arena? */
TF_MUST_CHECK bool tf_is_variable(const struct tf_net *net, uint32_t index);

/* Is a tensor apart from these bytes of the arena? */
TF_MUST_CHECK bool tf_is_apart_from(const struct tf_tensor *tensor, uint32_t begin, uint32_t end);

/* Is there such a tensor, and is it apart from the output (rule 16)? */
TF_MUST_CHECK bool tf_is_input(const struct tf_net *net, const struct tf_record *record, uint32_t input);

/* Rule 7. */
TF_MUST_CHECK bool tf_is_array(const struct tf_net *net, uint32_t offset, uint64_t bytes);

/* Are the fields of an MBQM in range? */
TF_MUST_CHECK bool tf_is_mbqm(int32_t multiplier, int32_t shift);

#endif
