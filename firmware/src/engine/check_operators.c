/* SPDX-License-Identifier: Apache-2.0 */
/* Rules 7 to 15 of docs/specs/pack.md, section 9: one function per kind of record. Products are computed in 64 bits. */
#include "engine/plan.h"

#include <string.h>

#define MEAN_ELEMENTS_MAX (1u << 20)
#define SOFTMAX_CHANNELS_MAX 4096
#define LOOKUP_BYTES 256
#define WIDE_SHIFT_LEAST (-20)
#define WIDE_SHIFT_MOST (-1)
#define SCRATCH_PER_BYTE 6u /* of a filter: three pixels of int16 */

static const struct tf_tensor *input_of(const struct tf_net *net, const struct tf_record *record)
{
    return &net->tensors[record->input];
}

static const struct tf_tensor *output_of(const struct tf_net *net, const struct tf_record *record)
{
    return &net->tensors[record->output];
}

bool tf_is_mbqm(int32_t multiplier, int32_t shift)
{
    return multiplier >= 0 && shift >= -31 && shift <= 30;
}

static bool is_as_large(const struct tf_net *net, const struct tf_record *record)
{
    return tf_elements(input_of(net, record)) == tf_elements(output_of(net, record));
}

/* Rule 7. */
bool tf_is_array(const struct tf_net *net, uint32_t offset, uint64_t bytes)
{
    return offset % 4 == 0 && offset <= net->weights.size && bytes <= net->weights.size - offset;
}

/* Rules 7 and 8 for the arrays that all layers have. count: number of scales, one or one per channel. */
static bool is_layer(const struct tf_net *net, const struct tf_channel_arrays *layer, uint64_t weight_bytes, uint32_t channels, uint32_t count,
                     int32_t least_shift, int32_t most_shift)
{
    if (!tf_is_array(net, layer->weights, weight_bytes) || !tf_is_array(net, layer->bias, 4ull * channels) ||
        !tf_is_array(net, layer->multipliers, 4ull * count) || !tf_is_array(net, layer->shifts, count)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const int8_t shift = tf_weights(net, layer->shifts)[i];
        if (tf_number(tf_weights(net, layer->multipliers), i) < 0 || shift < least_shift || shift > most_shift) {
            return false;
        }
    }
    return true;
}

/* Rules 9 and 11: along both axes the first window reaches into the input, and the last one starts inside it. The pairs are
 * height and width. */
static bool is_window(const struct tf_net *net, const struct tf_record *record, const uint16_t *kernel, const uint16_t *stride,
                      const uint16_t *dilation, const uint16_t *padding)
{
    const struct tf_tensor *x = input_of(net, record), *y = output_of(net, record);
    for (uint32_t i = 0; i < 2; i++) {
        /* the greatest product is 65534 * 65535, which 32 bits hold */
        if (kernel[i] < 1 || stride[i] < 1 || dilation[i] < 1 || padding[i] > (kernel[i] - 1u) * dilation[i] ||
            (y->dims[1 + i] - 1u) * stride[i] >= (uint32_t)x->dims[1 + i] + padding[i]) {
            return false;
        }
    }
    return x->dims[0] == y->dims[0];
}

/* Rule 9: the scratch is in the arena, apart from input and output. */
static bool is_scratch(const struct tf_net *net, const struct tf_record *record, uint64_t bytes)
{
    const uint32_t begin = ((const struct tf_wide_record *)record)->scratch;
    const uint64_t end = begin + bytes;
    return begin % 4 == 0 && end <= net->arena_bytes && tf_is_apart_from(input_of(net, record), begin, (uint32_t)end) &&
           tf_is_apart_from(output_of(net, record), begin, (uint32_t)end);
}

static bool is_convolution(const struct tf_net *net, const struct tf_convolution_record *conv, uint64_t weight_bytes, uint64_t scratch_bytes)
{
    const bool is_wide = tf_is_wide(&conv->head);
    const uint32_t channels = output_of(net, &conv->head)->dims[3];
    return is_window(net, &conv->head, conv->kernel, conv->stride, conv->dilation, conv->padding) && (!is_wide || is_scratch(net, &conv->head, scratch_bytes)) &&
           is_layer(net, &conv->arrays, weight_bytes, channels, channels, is_wide ? WIDE_SHIFT_LEAST : -31, is_wide ? WIDE_SHIFT_MOST : 30);
}

bool tf_check_conv(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_convolution_record *conv = (const struct tf_convolution_record *)record;
    const uint32_t depth = input_of(net, record)->dims[3], channels = output_of(net, record)->dims[3];
    if (conv->band != 0 || conv->groups < 1 || depth % conv->groups != 0 || channels % conv->groups != 0) {
        return false;
    }
    if (tf_is_wide(record)) {
        const uint64_t filter = 4ull * conv->kernel[0] * (((uint64_t)conv->kernel[1] * (depth / conv->groups) + 3) / 4);
        const uint32_t even = conv->groups * ((channels / conv->groups + 1) / 2 * 2);
        return is_convolution(net, conv, filter * even, SCRATCH_PER_BYTE * filter);
    }
    return is_convolution(net, conv, (uint64_t)channels * conv->kernel[0] * conv->kernel[1] * (depth / conv->groups), 0);
}

bool tf_check_depthwise(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_convolution_record *conv = (const struct tf_convolution_record *)record;
    const uint32_t channels = output_of(net, record)->dims[3];
    if (conv->groups < 1 || channels != (uint32_t)input_of(net, record)->dims[3] * conv->groups) {
        return false;
    }
    uint64_t scratch = 0;
    if (tf_is_wide(record) ? conv->band < 1 || conv->dilation[1] != 1 : conv->band != 0) {
        return false;
    }
    if (tf_is_wide(record)) {
        const struct tf_tensor *y = output_of(net, record);
        const struct tf_wide_plane plane = tf_wide_plane(conv, conv->band < y->dims[1] ? conv->band : y->dims[1], y->dims[2]);
        scratch = 2 * (plane.taps + (uint64_t)plane.rows * plane.pitch);
    }
    return is_convolution(net, conv, (uint64_t)channels * conv->kernel[0] * conv->kernel[1], scratch);
}

bool tf_check_dense(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_dense_record *dense = (const struct tf_dense_record *)record;
    const struct tf_tensor *x = input_of(net, record), *y = output_of(net, record);
    if (x->dims[0] != 1 || x->dims[1] != 1 || y->dims[0] != 1 || y->dims[1] != 1 || x->dims[2] != y->dims[2]) {
        return false;
    }
    const bool is_wide = (dense->flags & TF_DENSE_WIDE) != 0;
    const uint32_t count = (dense->flags & TF_DENSE_PER_CHANNEL) != 0 ? y->dims[3] : 1;
    const uint32_t filters = is_wide ? (y->dims[3] + 3u) & ~3u : y->dims[3];
    if (dense->flags > (net->has_wide_forms ? TF_DENSE_PER_CHANNEL | TF_DENSE_WIDE : TF_DENSE_PER_CHANNEL) || (is_wide && x->dims[3] % 4 != 0)) {
        return false;
    }
    return dense->zero[0] == 0 && dense->zero[1] == 0 && dense->zero[2] == 0 &&
           is_layer(net, &dense->arrays, (uint64_t)x->dims[3] * filters, y->dims[3], count, 1, 62);
}

bool tf_check_pool(const struct tf_net *net, const struct tf_record *record)
{
    static const uint16_t undilated[2] = {1, 1};
    const struct tf_pool_record *pool = (const struct tf_pool_record *)record;
    return is_window(net, record, pool->kernel, pool->stride, undilated, pool->padding) &&
           input_of(net, record)->dims[3] == output_of(net, record)->dims[3];
}

bool tf_check_mean(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_mean_record *mean = (const struct tf_mean_record *)record;
    const struct tf_tensor *x = input_of(net, record), *y = output_of(net, record);
    for (uint32_t axis = 0; axis < 4; axis++) {
        if (y->dims[axis] != ((mean->axes >> axis & 1) != 0 ? 1 : x->dims[axis])) {
            return false;
        }
    }
    return mean->axes >= 1 && mean->axes <= 15 && mean->zero == 0 && tf_elements(x) / tf_elements(y) < MEAN_ELEMENTS_MAX &&
           tf_is_mbqm(mean->multiplier, mean->shift);
}

/* Rule 13. */
static bool is_broadcast(const struct tf_net *net, const struct tf_record *record, uint32_t second)
{
    const struct tf_tensor *a = input_of(net, record), *b = &net->tensors[second], *y = output_of(net, record);
    for (uint32_t axis = 0; axis < 4; axis++) {
        const uint32_t size = y->dims[axis];
        if ((a->dims[axis] != size && a->dims[axis] != 1) || (b->dims[axis] != size && b->dims[axis] != 1)) {
            return false;
        }
    }
    return true;
}

bool tf_check_add(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_add_record *add = (const struct tf_add_record *)record;
    for (uint32_t i = 0; i < 3; i++) {
        if (!tf_is_mbqm(add->multipliers[i], add->shifts[i]) || add->shifts[i] > 0) {
            return false;
        }
    }
    return add->zero == 0 && add->zero_too == 0 && is_broadcast(net, record, add->second);
}

bool tf_check_mul(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_mul_record *mul = (const struct tf_mul_record *)record;
    return mul->zero == 0 && tf_is_mbqm(mul->multiplier, mul->shift) && is_broadcast(net, record, mul->second);
}

bool tf_check_quantize(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_quantize_record *quantize = (const struct tf_quantize_record *)record;
    return quantize->zero[0] == 0 && quantize->zero[1] == 0 && quantize->zero[2] == 0 &&
           is_as_large(net, record) &&
           tf_is_mbqm(quantize->multiplier, quantize->shift);
}

bool tf_check_lookup(const struct tf_net *net, const struct tf_record *record)
{
    return record->low == INT8_MIN && record->high == INT8_MAX &&
           is_as_large(net, record) &&
           tf_is_array(net, ((const struct tf_lookup_record *)record)->table, LOOKUP_BYTES);
}

bool tf_check_softmax(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_softmax_record *softmax = (const struct tf_softmax_record *)record;
    const struct tf_tensor *x = input_of(net, record), *y = output_of(net, record);
    return memcmp(x->dims, y->dims, sizeof x->dims) == 0 && x->dims[3] <= SOFTMAX_CHANNELS_MAX && y->zero_point == INT8_MIN && record->low == INT8_MIN && record->high == INT8_MAX &&
           softmax->multiplier >= 0 && softmax->shift <= 31 && softmax->zero == 0 && softmax->diff_min >= -255 &&
           softmax->diff_min <= 0;
}

bool tf_check_pad(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_tensor *x = input_of(net, record), *y = output_of(net, record);
    for (uint32_t axis = 0; axis < 4; axis++) {
        if ((uint32_t)((const struct tf_pad_record *)record)->before[axis] + x->dims[axis] > y->dims[axis]) {
            return false;
        }
    }
    return record->low == record->high;
}

bool tf_check_strided_copy(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_strided_record *part = (const struct tf_strided_record *)record;
    const bool is_slice = record->number == TF_OPERATOR_SLICE;
    const uint32_t adjacent = tf_elements(is_slice ? output_of(net, record) : input_of(net, record));
    const uint32_t strided = tf_elements(is_slice ? input_of(net, record) : output_of(net, record));
    if (part->block < 1 || adjacent % part->block != 0) {
        return false;
    }
    const uint32_t blocks = adjacent / part->block;
    const uint64_t first_end = (uint64_t)part->start + part->block;
    return (blocks == 1 || first_end <= part->stride) && first_end + (uint64_t)(blocks - 1) * part->stride <= strided;
}
