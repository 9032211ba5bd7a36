/* SPDX-License-Identifier: Apache-2.0 */
#include "learning/grow_tree.h"

#include <string.h>

#include "tinyfleet/pack.h"

#define DEPTH_MAX 8 /* of a tree of TF_SUBSAMPLE_MAX rows */

/* Rows from ... to - 1 of the sample, whose node is still to be written. */
struct range {
    uint32_t from, to, depth;
};

/* A node that waits to the right of those above. Its rows begin where those of the last leaf end. */
struct waiting {
    uint32_t to, depth;
};

struct split {
    uint32_t feature, least, most;
};

/* A number from 0 to n - 1; the same on every core. */
static uint32_t below(uint32_t *random, uint32_t n)
{
    return (uint32_t)((uint64_t)tf_golden_next(random) * n >> 32);
}

/* Reads the rows once, in their order. */
static void draw(const struct tf_rows *rows, uint32_t valid, uint32_t wanted, uint16_t *sample, uint32_t *random)
{
    for (uint32_t slot = 0; wanted > 0 && slot < rows->slots; slot++) {
        if (tf_row_read(rows, slot, sample) && below(random, valid--) < wanted) {
            wanted--;
            sample += rows->features;
        }
    }
}

/* Find a feature that differs between the rows, from a random one on; false when all rows are equal. */
static bool choose(const uint16_t *sample, struct range range, uint32_t features, uint32_t *random, struct split *split)
{
    split->feature = below(random, features);
    for (uint32_t tried = 0; tried < features; tried++) {
        split->least = UINT16_MAX;
        split->most = 0;
        for (uint32_t i = range.from; i < range.to; i++) {
            const uint32_t value = sample[i * features + split->feature];
            split->least = value < split->least ? value : split->least;
            split->most = value > split->most ? value : split->most;
        }
        if (split->least < split->most) {
            return true;
        }
        split->feature = split->feature + 1 < features ? split->feature + 1 : 0;
    }
    return false;
}

/* Move the rows that go left to the front; returns where the others begin. */
static uint32_t part(uint16_t *sample, struct range range, uint32_t features, uint32_t feature, uint32_t threshold)
{
    uint32_t right = range.from;
    for (uint32_t i = range.from; i < range.to; i++) {
        uint16_t *row = sample + i * features;
        if (row[feature] > threshold) {
            continue;
        }
        uint16_t *other = sample + right++ * features;
        for (uint32_t k = 0; k < features; k++) {
            const uint16_t value = row[k];
            row[k] = other[k];
            other[k] = value;
        }
    }
    return right;
}

void tf_grow_tree(const struct tf_hal *hal, const struct tf_rows *rows, uint32_t valid, const struct tf_forest_form *form,
                  uint16_t *scratch, uint32_t *random, struct tf_bit_writer *writer)
{
    struct waiting open[DEPTH_MAX];
    struct range range = {0, form->subsample, 0};
    uint32_t count = 0;
    draw(rows, valid, form->subsample, scratch, random);
    for (;;) {
        const uint32_t size = range.to - range.from;
        uint32_t bits = 0, width = 2; /* a leaf of one row */
        struct split split;
        if (size > 1 && range.depth < form->row_bits && choose(scratch, range, form->features, random, &split)) {
            const uint32_t threshold = split.least + below(random, split.most - split.least);
            tf_bits_put(writer, hal, 1 | split.feature << 1 | threshold << (1 + form->feature_bits),
                        1 + form->feature_bits + form->threshold_bits);
            open[count++] = (struct waiting){range.to, ++range.depth};
            range.to = part(scratch, range, form->features, split.feature, threshold);
            continue;
        }
        if (size > 1) {
            bits = 2 | (size - 1) << 2;
            width = 2 + form->row_bits;
        }
        tf_bits_put(writer, hal, bits, width);
        if (count == 0) {
            return;
        }
        count--;
        range = (struct range){range.to, open[count].to, open[count].depth};
    }
}
