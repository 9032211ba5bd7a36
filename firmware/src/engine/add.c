/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ADD of tensors of the same shape. Converters scale by one half what has the larger scale of the two inputs, and
 * MBQM(x * 2^20, 2^30, 0) is x * 2^19. So only the other input and the sum are multiplied.
 */
#include "engine/convolution.h"
#include "engine/scratch.h"
#include "requantize.h"

#define HALF (1 << 30)
#define SHIFT_LEAST (-20) /* of tf_requantize_fast() */

/* An input whose scaled value is requantized. */
struct scaled {
    const int8_t *x;
    int32_t zero, multiplier;
    uint32_t left, right;
};

/* An input that is halved. */
struct halved {
    const int8_t *x;
    int32_t zero;
};

struct target {
    int8_t *out;
    uint32_t count;
    int32_t multiplier, zero;
    uint32_t right;
};

static bool is_fast(int32_t shift)
{
    return shift < 0 && shift >= SHIFT_LEAST;
}

static bool is_half(const struct tf_add_record *add, uint32_t input)
{
    return add->multipliers[input] == HALF && add->shifts[input] == 0;
}

static void add_all(const struct scaled *scaled, const struct halved *halved, const struct target *target)
{
    const int8_t *a = scaled->x, *b = halved->x;
    int8_t *out = target->out;
    const int32_t rest = -halved->zero * (1 << 19);
    for (const int8_t *const end = out + target->count; out != end; out++) {
        const uint32_t value = (uint32_t)(*a++ - scaled->zero) << scaled->left;
        const int32_t sum = tf_requantize_fast(value, scaled->multiplier, scaled->right) + rest + *b++ * (1 << 19);
        *out = tf_requantize_saturated((uint32_t)sum, target->multiplier, target->right, target->zero);
    }
}

void tf_run_add(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_add_record *add = (const struct tf_add_record *)record;
    const struct tf_tensor *const y = &net->tensors[record->output];
    const struct tf_tensor *const x[2] = {&net->tensors[record->input], &net->tensors[add->second]};
    const uint32_t count = tf_elements(y), second = is_half(add, 1) ? 1 : 0, first = 1 - second;
    if (!is_half(add, second) || !(is_fast(add->shifts[first]) || is_half(add, first)) || !is_fast(add->shifts[2]) ||
        tf_elements(x[0]) != count || tf_elements(x[1]) != count) {
        tf_run_any_add(net, record);
        return;
    }
    const bool both = is_half(add, first); /* halved by a multiplier of 2^30 and a shift by 1 of twice the value */
    const struct scaled scaled = {tf_input(net, x[first]), x[first]->zero_point, add->multipliers[first], both ? 21 : 20,
                                  both ? 1 : (uint32_t)-add->shifts[first]};
    const struct halved halved = {tf_input(net, x[second]), x[second]->zero_point};
    const struct target target = {tf_output(net, y), count, add->multipliers[2], y->zero_point, (uint32_t)-add->shifts[2]};
    add_all(&scaled, &halved, &target);
    tf_clamp_all(net, record);
}
