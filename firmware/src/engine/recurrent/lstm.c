/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/mac.h"
#include "engine/plan.h"
#include "engine/recurrent/gate_functions.h"

#define BEYOND 65535 /* of a number that is added to one of 16 bits: more would be saturated as well */

enum gate { INPUT, FORGET, CELL, OUTPUT };

/* One of the two matrices of a gate, the vector that it multiplies, and their scale. */
struct side {
    const int8_t *x, *w, *bias;
    uint32_t depth, scales; /* index of the scale of the first gate */
};

struct layer {
    const struct tf_net *net;
    const struct tf_lstm_record *record;
    uint32_t units;
};

static struct tf_scale scale_at(const struct layer *layer, uint32_t index)
{
    return tf_scale_of(tf_number(tf_weights(layer->net, layer->record->multipliers), index),
                       tf_weights(layer->net, layer->record->shifts)[index]);
}

static int32_t scaled_sum(const struct layer *layer, const struct side *side, enum gate gate, uint32_t unit)
{
    const uint32_t row = (uint32_t)gate * layer->units + unit;
    const struct tf_scale scale = scale_at(layer, side->scales + (uint32_t)gate);
    return tf_requantize(&scale, tf_mac(side->x, side->w + row * side->depth, side->depth, (uint32_t)tf_number(side->bias, row)));
}

/* The sum in a gate, in Q3 of 16 bits. */
static int32_t gate_sum(const struct layer *layer, const struct side sides[2], enum gate gate, uint32_t unit)
{
    const int32_t first = tf_saturated(scaled_sum(layer, &sides[0], gate, unit), INT16_MAX);
    return tf_saturated(first + tf_saturated(scaled_sum(layer, &sides[1], gate, unit), BEYOND), INT16_MAX);
}

/* Returns the new value of a cell. */
static int32_t update_cell(const struct layer *layer, const struct side sides[2], uint32_t unit, int32_t cell)
{
    const int32_t forget = tf_sigmoid16(gate_sum(layer, sides, FORGET, unit));
    const int32_t added = tf_sigmoid16(gate_sum(layer, sides, INPUT, unit)) * tf_tanh16(gate_sum(layer, sides, CELL, unit), TF_GATE_BITS);
    const int32_t kept = (int16_t)tf_rdp(forget * cell, 15);
    const int32_t clip = layer->record->clip;
    cell = tf_saturated(kept + (int16_t)tf_rdp(added, 15u + layer->record->cell_bits), INT16_MAX);
    return clip > 0 && cell < -clip ? -clip : clip > 0 && cell > clip ? clip : cell;
}

static void run_step(const struct layer *layer, const struct side sides[2], int16_t *cells, int8_t *out)
{
    const struct tf_lstm_record *record = layer->record;
    const struct tf_scale scale = scale_at(layer, TF_LSTM_SCALES - 1u);
    const struct tf_clamp clamp = {record->head.low - record->zero, record->head.high - record->zero, record->zero};
    for (uint32_t unit = 0; unit < layer->units; unit++) {
        const int32_t cell = update_cell(layer, sides, unit, cells[unit]);
        const int32_t leave = tf_sigmoid16(gate_sum(layer, sides, OUTPUT, unit));
        cells[unit] = (int16_t)cell;
        out[unit] = tf_clamped(clamp, tf_requantize(&scale, (uint32_t)(leave * tf_tanh16(cell, record->cell_bits))));
    }
}

void tf_run_lstm(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_lstm_record *lstm = (const struct tf_lstm_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const struct layer layer = {net, lstm, y->dims[3]};
    int8_t *hidden = tf_output(net, &net->tensors[lstm->hidden]), *out = tf_output(net, y);
    int16_t *cells = (int16_t *)(void *)tf_output(net, &net->tensors[lstm->cell]);
    struct side sides[2] = {
        {tf_input(net, x), tf_weights(net, lstm->weights), tf_weights(net, lstm->bias), x->dims[3], 0},
        {hidden, tf_weights(net, lstm->recurrent), tf_weights(net, lstm->recurrent_bias), layer.units, OUTPUT + 1},
    };
    for (uint32_t step = 0; step < x->dims[2]; step++) {
        run_step(&layer, sides, cells, out);
        memcpy(hidden, out, layer.units);
        sides[0].x += x->dims[3];
        out += layer.units;
    }
}
