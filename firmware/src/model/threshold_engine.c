/* SPDX-License-Identifier: Apache-2.0 */
/* Kind 0 of packs: compares a weighted sum of an input window with a threshold (docs/specs/pack.md, section 5). */
#include "codec/bytes.h"
#include "tinyfleet/engine.h"
#include "tinyfleet/pack.h"

#define OPERATOR 17
#define INT8 1
#define INT16 2
#define INT32 3
#define NO_TENSOR 0xffff
#define DESCRIPTORS_AT 4
#define DESCRIPTOR_BYTES 16 /* of rank 1 or 2 */
#define HEAD_BYTES 8
#define WEIGHTS_MAX 4096
#define SHIFT_MAX 15
#define GOLDEN_MAX 64
#define OUTPUT_BYTES 8 /* decision, score */

/* The elements of an input, in order: from memory, or from the generator of golden inputs. */
struct elements {
    uint32_t seed; /* 0: read bytes */
    const uint8_t *bytes;
    bool wide; /* int16, else int8 */
};

static bool is_wide(const struct tf_pack *pack)
{
    return tf_pack_section(pack, TF_SECTION_IO).data[DESCRIPTORS_AT] == INT16;
}

static uint32_t input_bytes(const struct tf_pack *pack)
{
    return tf_load16(tf_pack_section(pack, TF_SECTION_THRESHOLD).data) * (is_wide(pack) ? 2u : 1u);
}

static int32_t next_element(struct elements *elements)
{
    if (elements->seed != 0) {
        uint32_t s = tf_golden_next(&elements->seed);
        return elements->wide ? (int16_t)(s >> 16) : (int8_t)(s >> 24);
    }
    const uint8_t *at = elements->bytes;
    elements->bytes += elements->wide ? 2 : 1;
    return elements->wide ? (int16_t)tf_load16(at) : (int8_t)at[0];
}

static struct tf_verdict weigh(const struct tf_pack *pack, struct elements elements, int32_t threshold)
{
    const uint8_t *model = tf_pack_section(pack, TF_SECTION_THRESHOLD).data;
    uint32_t count = tf_load16(model);
    int32_t acc = (int32_t)tf_load32(model + 4);
    for (uint32_t i = 0; i < count; i++) {
        acc += (int8_t)model[HEAD_BYTES + i] * next_element(&elements);
    }
    int32_t score = acc >> model[3];
    return (struct tf_verdict){.decision = score > threshold, .score = score};
}

/* Check a descriptor of rank 1 with this range of types and this many elements. */
static bool is_vector(const uint8_t *descriptor, uint8_t least_type, uint8_t most_type, uint32_t elements)
{
    return descriptor[0] >= least_type && descriptor[0] <= most_type && descriptor[1] == 1 && tf_load16(descriptor + 2) == NO_TENSOR &&
           tf_load16(descriptor + 12) == elements && tf_load16(descriptor + 14) == 0;
}

static int check_io(const struct tf_pack *pack, uint32_t inputs)
{
    struct tf_section io = tf_pack_section(pack, TF_SECTION_IO);
    if (io.size != DESCRIPTORS_AT + 2 * DESCRIPTOR_BYTES || io.data[0] != 1 || io.data[1] != 1 || tf_load16(io.data + 2) != 0) {
        return TF_ERR_PACK;
    }
    return is_vector(io.data + DESCRIPTORS_AT, INT8, INT16, inputs) &&
                   is_vector(io.data + DESCRIPTORS_AT + DESCRIPTOR_BYTES, INT32, INT32, 2)
               ? TF_OK
               : TF_ERR_PACK;
}

/* Section 5: no input can make the sum overflow. */
static int check_sum(const struct tf_pack *pack, struct tf_section model, uint32_t count)
{
    int64_t bias = (int32_t)tf_load32(model.data + 4);
    int64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        int32_t weight = (int8_t)model.data[HEAD_BYTES + i];
        sum += weight < 0 ? -weight : weight;
    }
    sum = sum * (is_wide(pack) ? 1 << 15 : 1 << 7) + (bias < 0 ? -bias : bias);
    return sum <= INT32_MAX ? TF_OK : TF_ERR_PACK;
}

/* Find golden vector number index, or NULL; *end is where the last vector visited ends. */
static const uint8_t *golden_at(const struct tf_pack *pack, uint32_t index, uint32_t *end)
{
    struct tf_section golden = tf_pack_section(pack, TF_SECTION_GOLDEN);
    uint32_t at = 4;
    for (uint32_t i = 0; i <= index; i++) {
        if (golden.size < at || golden.size - at < 4) {
            return NULL;
        }
        uint32_t length = 4 + OUTPUT_BYTES + (tf_load32(golden.data + at) == 0 ? (input_bytes(pack) + 3) & ~3u : 0);
        if (golden.size - at < length) {
            return NULL;
        }
        *end = at + length;
        at = i == index ? at : *end;
    }
    return golden.data + at;
}

static int check_golden(const struct tf_pack *pack)
{
    struct tf_section golden = tf_pack_section(pack, TF_SECTION_GOLDEN);
    uint32_t end = 0;
    if (golden.size < 4 || tf_load16(golden.data + 2) != 0) {
        return TF_ERR_PACK;
    }
    uint32_t count = tf_load16(golden.data);
    if (count < 1 || count > GOLDEN_MAX || golden_at(pack, count - 1, &end) == NULL) {
        return TF_ERR_PACK;
    }
    return end == golden.size ? TF_OK : TF_ERR_PACK;
}

static int check(const struct tf_pack *pack)
{
    struct tf_section model = tf_pack_section(pack, TF_SECTION_THRESHOLD);
    struct tf_parameter_entry threshold;
    if (model.size < HEAD_BYTES) {
        return TF_ERR_PACK;
    }
    uint32_t count = tf_load16(model.data);
    if (count < 1 || count > WEIGHTS_MAX || model.size != HEAD_BYTES + count || model.data[3] > SHIFT_MAX ||
        tf_pack_parameter(pack, model.data[2], &threshold) != TF_OK) {
        return TF_ERR_PACK;
    }
    int error = check_io(pack, count);
    if (error == TF_OK) {
        error = check_sum(pack, model, count);
    }
    return error == TF_OK ? check_golden(pack) : error;
}

static int open_pack(const struct tf_pack *pack, const struct tf_arena *arena)
{
    (void)pack;
    (void)arena; /* nothing to prepare: a sum needs no memory */
    return TF_OK;
}

static int golden(const struct tf_pack *pack, const struct tf_arena *arena, uint32_t index)
{
    struct tf_parameter_entry threshold;
    uint32_t end = 0;
    (void)arena;
    if (index >= tf_load16(tf_pack_section(pack, TF_SECTION_GOLDEN).data)) {
        return TF_NO_MORE;
    }
    const uint8_t *vector = golden_at(pack, index, &end);
    if (vector == NULL || tf_pack_parameter(pack, tf_pack_section(pack, TF_SECTION_THRESHOLD).data[2], &threshold) != TF_OK) {
        return TF_ERR_PACK;
    }
    struct elements elements = {tf_load32(vector), vector + 4, is_wide(pack)};
    struct tf_verdict verdict = weigh(pack, elements, threshold.preset);
    const uint8_t *wanted = tf_pack_section(pack, TF_SECTION_GOLDEN).data + end - OUTPUT_BYTES;
    return (uint32_t)verdict.decision == tf_load32(wanted) && (uint32_t)verdict.score == tf_load32(wanted + 4) ? TF_OK : TF_ERR_GOLDEN;
}

static int run(const struct tf_pack *pack, const struct tf_arena *arena, const int32_t *parameters, const uint8_t *input, size_t length,
               struct tf_verdict *verdict)
{
    (void)arena;
    if (length != input_bytes(pack)) {
        return TF_ERR_INPUT;
    }
    struct elements elements = {0, input, is_wide(pack)};
    *verdict = weigh(pack, elements, parameters[tf_pack_section(pack, TF_SECTION_THRESHOLD).data[2]]);
    return TF_OK;
}

const struct tf_engine tf_engine_threshold = {
    .kind = 0,
    .operators = 1u << OPERATOR,
    .check = check,
    .open = open_pack,
    .golden = golden,
    .run = run,
};
