/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of one channel, in up to three passes over its samples: sums; deviations from the mean; powers of deviations
 * brought to twelve bits, so that 64 bits hold every sum.
 */
#include "engine/features.h"

#define SAMPLES_MAX 4096
#define CHANNELS_MAX 16
#define SHIFT_MAX 62
#define POWER_BITS 12

enum statistic { VALUE, MEAN, VARIANCE, STD, RMS, SKEWNESS, KURTOSIS, PEAK, CREST, ZERO_CROSSINGS, MIN, MAX, STATISTICS };

#define NEEDS_POWERS (1u << SKEWNESS | 1u << KURTOSIS)
#define NEEDS_DEVIATIONS (NEEDS_POWERS | 1u << PEAK | 1u << CREST | 1u << ZERO_CROSSINGS)

/* Reads the samples of one channel, one at a time. */
struct reader {
    struct tf_samples samples;
    uint32_t before, after; /* samples of other channels around each */
};

struct channel {
    int64_t raw[STATISTICS];
    int32_t mean; /* in 1/16 */
    int32_t peak;
};

bool tf_check_features(struct tf_section section)
{
    const struct tf_window_record *window = (const struct tf_window_record *)(const void *)section.data;
    if (section.size < sizeof *window || window->samples < 1 || window->samples > SAMPLES_MAX || window->channels < 1 ||
        window->channels > CHANNELS_MAX || window->features < 1 || window->features > TF_FEATURES_MAX ||
        section.size != sizeof *window + window->features * sizeof window->feature[0]) {
        return false;
    }
    for (uint32_t i = 0; i < window->features; i++) {
        const struct tf_feature *feature = &window->feature[i];
        if (feature->statistic >= STATISTICS || feature->channel >= window->channels || feature->shift > SHIFT_MAX || feature->zero != 0 ||
            feature->multiplier < 0) {
            return false;
        }
    }
    return true;
}

static void skip(struct tf_samples *samples, uint32_t count)
{
    if (samples->seed == 0) {
        samples->bytes += 2 * count;
        return;
    }
    for (; count > 0; count--) {
        const uint32_t skipped = tf_golden_next(&samples->seed);
        (void)skipped;
    }
}

static int32_t next(struct reader *reader)
{
    int16_t value;
    skip(&reader->samples, reader->before);
    if (reader->samples.seed == 0) {
        value = (int16_t)tf_load16(reader->samples.bytes);
        reader->samples.bytes += 2;
    } else {
        value = (int16_t)(tf_golden_next(&reader->samples.seed) >> 16);
    }
    skip(&reader->samples, reader->after);
    return value;
}

/* Truncating division, bit by bit: the compiler's 64-bit division costs 900 bytes, and a window needs few divisions. */
static int64_t divide(int64_t numerator, int64_t denominator)
{
    uint64_t left = numerator < 0 ? 0u - (uint64_t)numerator : (uint64_t)numerator;
    uint64_t rest = 0;
    for (uint32_t bit = 0; bit < 64; bit++) {
        rest = rest << 1 | left >> 63;
        left <<= 1;
        if (rest >= (uint64_t)denominator) {
            rest -= (uint64_t)denominator;
            left |= 1;
        }
    }
    return numerator < 0 ? -(int64_t)left : (int64_t)left;
}

static uint32_t square_root(uint64_t x)
{
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 62; bit != 0; bit >>= 2) {
        if (x >= root + bit) {
            x -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}

static void sum_up(struct channel *channel, struct reader reader, uint32_t n)
{
    int64_t s1 = 0, s2 = 0;
    int32_t least = INT16_MAX, greatest = INT16_MIN, x = 0;
    for (uint32_t i = 0; i < n; i++) {
        x = next(&reader);
        s1 += x;
        s2 += x * x;
        least = x < least ? x : least;
        greatest = x > greatest ? x : greatest;
    }
    const int32_t count = (int32_t)n;
    const uint32_t magnitude = (16 * (uint32_t)(s1 < 0 ? -s1 : s1) + n / 2) / n; /* up to 2^31 before the rounding */
    channel->mean = s1 < 0 ? -(int32_t)magnitude : (int32_t)magnitude;
    channel->raw[VALUE] = x;
    channel->raw[MEAN] = channel->mean;
    const int64_t spread = divide((count * s2 - s1 * s1) * 256, count * count); /* the variance, in 1/256 */
    channel->raw[VARIANCE] = spread >> 8;
    channel->raw[STD] = square_root((uint64_t)spread * 256);
    channel->raw[RMS] = square_root((uint64_t)divide(s2 * 65536, count));
    channel->raw[MIN] = least;
    channel->raw[MAX] = greatest;
}

static void deviate(struct channel *channel, struct reader reader, uint32_t n)
{
    bool was_below = false;
    for (uint32_t i = 0; i < n; i++) {
        const int32_t d = 16 * next(&reader) - channel->mean;
        const int32_t magnitude = d < 0 ? -d : d;
        channel->peak = magnitude > channel->peak ? magnitude : channel->peak;
        channel->raw[ZERO_CROSSINGS] += i > 0 && (d < 0) != was_below ? 1 : 0;
        was_below = d < 0;
    }
    channel->raw[PEAK] = channel->peak;
    channel->raw[CREST] = channel->raw[STD] == 0 ? 0 : divide(channel->peak * (int64_t)(16 * 1024), channel->raw[STD]);
}

static int32_t bit_length(int32_t x)
{
    int32_t bits = 0;
    for (; x > 0; x >>= 1) {
        bits++;
    }
    return bits;
}

static void raise_to_powers(struct channel *channel, struct reader reader, uint32_t n)
{
    const int32_t excess = bit_length(channel->peak) - POWER_BITS;
    int64_t z2 = 0, z3 = 0, z4 = 0;
    for (uint32_t i = 0; i < n; i++) {
        const int32_t d = 16 * next(&reader) - channel->mean;
        const int32_t z = excess > 0 ? (d + (1 << (excess - 1))) >> excess : d * (1 << -excess);
        const int64_t square = (int64_t)z * z;
        z2 += square;
        z3 += square * z;
        z4 += square * square;
    }
    const int64_t v = divide(z2 * 256, n);
    if (v == 0) {
        return;
    }
    const int64_t sigma = square_root((uint64_t)v << 24);
    channel->raw[SKEWNESS] = divide(divide(z3, n) * 1024, (v * (sigma >> 8)) >> 16);
    channel->raw[KURTOSIS] = divide(divide(z4, n) * 1024, ((v >> 4) * (v >> 4)) >> 8);
}

static int32_t scale(const struct tf_feature *feature, int64_t raw, uint32_t bits)
{
    const int64_t most = ((int64_t)1 << bits) - 1;
    int64_t difference = bits == TF_RAW ? raw : raw - feature->offset;
    difference = difference < INT32_MIN ? INT32_MIN : difference > INT32_MAX ? INT32_MAX : difference;
    if (bits == TF_RAW) {
        return (int32_t)difference;
    }
    const int64_t scaled = (difference * feature->multiplier + ((int64_t)1 << feature->shift >> 1)) >> feature->shift;
    return (int32_t)(scaled < 0 ? 0 : scaled > most ? most : scaled);
}

void tf_features(const struct tf_window_record *window, struct tf_samples samples, uint32_t bits, int32_t *y)
{
    for (uint32_t number = 0; number < window->channels; number++) {
        const struct reader reader = {samples, number, window->channels - 1u - number};
        struct channel channel = {.peak = 0};
        uint32_t wanted = 0;
        for (uint32_t i = 0; i < window->features; i++) {
            wanted |= window->feature[i].channel == number ? 1u << window->feature[i].statistic : 0;
        }
        if (wanted != 0) {
            sum_up(&channel, reader, window->samples);
        }
        if ((wanted & NEEDS_DEVIATIONS) != 0) {
            deviate(&channel, reader, window->samples);
        }
        if ((wanted & NEEDS_POWERS) != 0) {
            raise_to_powers(&channel, reader, window->samples);
        }
        for (uint32_t i = 0; i < window->features; i++) {
            if (window->feature[i].channel == number) {
                y[i] = scale(&window->feature[i], channel.raw[window->feature[i].statistic], bits);
            }
        }
    }
}
