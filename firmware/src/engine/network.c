/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyfleet/engine_network.h"

#include <string.h>

#include "engine/io.h"
#include "engine/plan.h"
#include "tinyfleet/sha256.h"

#define KIND 1
#define FORMAT_AT 4 /* in the pack's header */
#define ARENA_BYTES_AT 12
#define FORMAT_WITH_WIDE_FORMS 2
#define TENSOR_RECORDS_MAX 4096
#define NO_PARAMETER 0xff
#define RECONSTRUCTION_MAX 32768

enum head_mode { LARGEST = 1, RECONSTRUCTION = 2, THRESHOLD = 3 };

struct TF_IN_PLACE head_record {
    uint8_t mode, parameter;
    uint16_t first, second;
    uint16_t zero;
    int32_t multiplier;
    int8_t shift;
    uint8_t zero_too[3];
};

_Static_assert(sizeof(struct head_record) == 16, "as the specification has it");

struct tf_net tf_net_view(const struct tf_pack *pack, uint8_t *arena)
{
    const struct tf_section tensors = tf_pack_section(pack, TF_SECTION_TENSORS), states = tf_pack_section(pack, TF_SECTION_STATE);
    return (struct tf_net){
        .tensors = (const struct tf_tensor *)(const void *)tensors.data,
        .tensor_count = tensors.size / (uint32_t)sizeof(struct tf_tensor),
        .plan = tf_pack_section(pack, TF_SECTION_PLAN),
        .weights = tf_pack_section(pack, TF_SECTION_WEIGHTS),
        .states = (const struct tf_state_record *)(const void *)states.data,
        .state_count = states.size / (uint32_t)sizeof(struct tf_state_record),
        .arena = arena,
        .arena_bytes = tf_load32(pack->data + ARENA_BYTES_AT),
        .has_wide_forms = pack->data[FORMAT_AT] >= FORMAT_WITH_WIDE_FORMS,
    };
}

/* NULL when the pack has none. */
static const struct head_record *head_of(const struct tf_pack *pack)
{
    return (const struct head_record *)(const void *)tf_pack_section(pack, TF_SECTION_HEAD).data;
}

/* Rule 17. */
static bool check_head(const struct tf_pack *pack, const struct tf_net *net)
{
    const struct head_record *head = head_of(pack);
    struct tf_parameter_entry entry;
    if (head == NULL) {
        return true;
    }
    if (tf_pack_section(pack, TF_SECTION_HEAD).size != sizeof *head || head->mode < LARGEST || head->mode > THRESHOLD || head->zero != 0 ||
        head->zero_too[0] != 0 || head->zero_too[1] != 0 || head->zero_too[2] != 0 || !tf_is_variable(net, head->first)) {
        return false;
    }
    if (head->parameter == NO_PARAMETER ? head->mode != LARGEST : tf_pack_parameter(pack, head->parameter, &entry) != TF_OK) {
        return false;
    }
    if (head->mode != RECONSTRUCTION) {
        return head->second == 0 && head->multiplier == 0 && head->shift == 0;
    }
    return tf_is_variable(net, head->second) && tf_is_mbqm(head->multiplier, head->shift) &&
           tf_elements(&net->tensors[head->first]) == tf_elements(&net->tensors[head->second]) &&
           tf_elements(&net->tensors[head->first]) <= RECONSTRUCTION_MAX;
}

/* Rule 4: all are int8 tensors in the arena. With HEAD, the last output is the decision and the score instead. */
static bool check_io(const struct tf_pack *pack, const struct tf_net *net, const struct tf_io *io)
{
    const struct tf_section section = tf_pack_section(pack, TF_SECTION_IO);
    const uint32_t tensors = head_of(pack) != NULL ? io->count - 1 : io->count;
    uint32_t at = 4;
    struct tf_io_tensor tensor;
    for (uint32_t i = 0; i < tensors; i++) {
        if (tf_io_tensor_read(section, &at, &tensor) != TF_OK || tensor.type != TF_INT8 || !tf_is_variable(net, tensor.tensor) ||
            tf_elements(&net->tensors[tensor.tensor]) != tensor.bytes) {
            return false;
        }
    }
    if (tensors == io->count) {
        return true;
    }
    return tensors > io->inputs && tf_io_tensor_read(section, &at, &tensor) == TF_OK && tensor.type == TF_INT32 && tensor.rank == 1 &&
           tensor.dims[0] == 2 && tensor.tensor == TF_NO_TENSOR;
}

static int check(const struct tf_pack *pack)
{
    const struct tf_net net = tf_net_view(pack, NULL);
    struct tf_io io;
    const uint32_t bytes = tf_pack_section(pack, TF_SECTION_TENSORS).size;
    if (bytes % sizeof(struct tf_tensor) != 0 || net.tensor_count < 1 || net.tensor_count > TENSOR_RECORDS_MAX) {
        return TF_ERR_PACK;
    }
    if (!tf_check_states(&net, tf_pack_section(pack, TF_SECTION_STATE).size)) {
        return TF_ERR_PACK;
    }
    const int error = tf_check_plan(&net);
    if (error != TF_OK) {
        return error;
    }
    return tf_io_read(pack, &io) == TF_OK && check_head(pack, &net) && check_io(pack, &net, &io) && tf_check_golden(pack, &io)
               ? TF_OK
               : TF_ERR_PACK;
}

static int open_pack(const struct tf_pack *pack, const struct tf_arena *arena)
{
    const struct tf_net net = tf_net_view(pack, arena->data);
    tf_reset_states(&net); /* everything else is written before it is read */
    return TF_OK;
}

/* The sum of squared differences between the output a and the input b, requantized to the scale of a. */
static int32_t reconstruction_error(const struct tf_net *net, const struct head_record *head)
{
    const struct tf_tensor *a = &net->tensors[head->first], *b = &net->tensors[head->second];
    const struct tf_clamp clamp = {INT8_MIN - a->zero_point, INT8_MAX - a->zero_point, a->zero_point};
    const struct tf_scale scale = tf_scale_of(head->multiplier, head->shift);
    const int8_t *got = tf_input(net, a), *given = tf_input(net, b);
    int32_t sum = 0;
    for (uint32_t left = tf_elements(a); left > 0; left--) {
        const int32_t difference = *got++ - tf_clamped(clamp, tf_requantize(&scale, (uint32_t)(*given++ - b->zero_point)));
        sum += difference * difference;
    }
    return sum;
}

static struct tf_verdict largest(const struct tf_net *net, const struct head_record *head)
{
    const struct tf_tensor *a = &net->tensors[head->first];
    const int8_t *values = tf_input(net, a);
    struct tf_verdict verdict = {0, values[0]};
    for (uint32_t i = 1; i < tf_elements(a); i++) {
        if (values[i] > verdict.score) {
            verdict = (struct tf_verdict){(int32_t)i, values[i]};
        }
    }
    return verdict;
}

static struct tf_verdict decide(const struct tf_net *net, const struct head_record *head, const int32_t *parameters)
{
    if (head == NULL) {
        return (struct tf_verdict){0, 0};
    }
    if (head->mode == LARGEST) {
        struct tf_verdict verdict = largest(net, head);
        if (head->parameter != NO_PARAMETER && verdict.score < parameters[head->parameter]) {
            verdict.decision = -1;
        }
        return verdict;
    }
    const int32_t score =
        head->mode == RECONSTRUCTION ? reconstruction_error(net, head) : tf_input(net, &net->tensors[head->first])[0];
    return (struct tf_verdict){score > parameters[head->parameter] ? 1 : 0, score};
}

static struct tf_verdict infer(const struct tf_pack *pack, const struct tf_net *net, const int32_t *parameters)
{
    for (uint32_t at = 0; at < net->plan.size;) {
        const struct tf_record *record = (const struct tf_record *)(const void *)(net->plan.data + at);
        tf_operators[tf_operator_row(record->number)].run(net, record);
        at += 4u * record->words;
    }
    return decide(net, head_of(pack), parameters);
}

/*
 * Copy the inputs from *bytes to their tensors, or generate them when *seed is not 0, and move *bytes or *seed past them.
 * padded: each input starts at a multiple of four.
 */
static int fill_inputs(const struct tf_pack *pack, const struct tf_net *net, const uint8_t **bytes, bool padded, uint32_t *seed)
{
    const struct tf_section io = tf_pack_section(pack, TF_SECTION_IO);
    uint32_t at = 4;
    for (uint32_t left = io.data[0]; left > 0; left--) {
        struct tf_io_tensor end;
        if (tf_io_tensor_read(io, &at, &end) != TF_OK) {
            return TF_ERR_PACK;
        }
        int8_t *to = tf_output(net, &net->tensors[end.tensor]);
        if (*seed == 0) {
            memcpy(to, *bytes, end.bytes);
            *bytes += padded ? tf_pad4(end.bytes) : end.bytes;
            continue;
        }
        for (uint32_t i = 0; i < end.bytes; i++) {
            to[i] = (int8_t)(tf_golden_next(seed) >> 24);
        }
    }
    return TF_OK;
}

/* Compare the outputs with those at *wanted, and move it past them. */
static int compare_outputs(const struct tf_pack *pack, const struct tf_net *net, struct tf_verdict verdict, const uint8_t **wanted)
{
    const struct tf_section io = tf_pack_section(pack, TF_SECTION_IO);
    const bool digested = tf_pack_is_stage(pack);
    struct tf_sha256 sha;
    uint8_t digest[TF_GOLDEN_DIGEST_BYTES];
    uint32_t at = 4;
    tf_sha256_init(&sha);
    for (uint32_t i = 0; i < (uint32_t)io.data[0] + io.data[1]; i++) {
        struct tf_io_tensor end;
        if (tf_io_tensor_read(io, &at, &end) != TF_OK) {
            return TF_ERR_PACK;
        }
        if (i < io.data[0]) {
            continue;
        }
        const void *got = end.tensor == TF_NO_TENSOR ? (const void *)&verdict : tf_input(net, &net->tensors[end.tensor]);
        if (digested) {
            tf_sha256_update(&sha, got, end.bytes);
        } else if (memcmp(got, *wanted, end.bytes) != 0) {
            return TF_ERR_GOLDEN;
        } else {
            *wanted += tf_pad4(end.bytes);
        }
    }
    tf_sha256_final(&sha, digest);
    return !digested || memcmp(digest, *wanted, sizeof digest) == 0 ? TF_OK : TF_ERR_GOLDEN;
}

static int golden(const struct tf_pack *pack, const struct tf_arena *arena, uint32_t index)
{
    const struct tf_net net = tf_net_view(pack, arena->data);
    int32_t parameters[TF_PARAMETER_TABLE_MAX];
    struct tf_parameter_entry entry;
    struct tf_golden vector;
    int error = tf_golden_read(pack, index, &vector);
    if (error != TF_OK) {
        return error;
    }
    for (uint32_t i = 0; tf_pack_parameter(pack, i, &entry) == TF_OK; i++) {
        parameters[i] = entry.preset;
    }
    tf_reset_states(&net);
    for (; vector.steps > 0 && error == TF_OK; vector.steps--) {
        error = fill_inputs(pack, &net, &vector.input, true, &vector.seed);
        if (error == TF_OK) {
            error = compare_outputs(pack, &net, infer(pack, &net, parameters), &vector.wanted);
        }
    }
    tf_reset_states(&net);
    return error;
}

static int run(const struct tf_pack *pack, const struct tf_arena *arena, const int32_t *parameters, const uint8_t *input, size_t length,
               struct tf_verdict *verdict)
{
    const struct tf_net net = tf_net_view(pack, arena->data);
    struct tf_io io;
    uint32_t no_seed = 0;
    if (tf_io_read(pack, &io) != TF_OK || (input != NULL && length != io.input_bytes)) {
        return TF_ERR_INPUT;
    }
    if (input != NULL && fill_inputs(pack, &net, &input, false, &no_seed) != TF_OK) {
        return TF_ERR_INPUT;
    }
    *verdict = infer(pack, &net, parameters);
    return TF_OK;
}

const struct tf_engine tf_engine_network = {
    .kind = KIND,
    .operators = ((1u << TF_OPERATOR_COUNT) - 1u) | 1u << TF_OPERATOR_STATE | TF_RECURRENT_OPERATORS,
    .check = check,
    .open = open_pack,
    .golden = golden,
    .run = run,
};
