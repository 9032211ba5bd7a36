/* SPDX-License-Identifier: Apache-2.0 */
#include "sensor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846
/* phase per sample at 1,600 Hz: one turn of a machine at 1,500 / min, and the tone of a failing bearing */
#define TURN (2.0 * PI * 25.0 / 1600.0)
#define BEARING (2.0 * PI * 137.0 / 1600.0)
#define AMPLITUDE_OF_RANGE 0.25
#define SINE_STEPS 1024u

static double next_noise(struct sensor *sensor)
{
    uint32_t s = sensor->random;

    s ^= s << 13;
    s ^= s >> 17;
    s ^= s << 5;
    sensor->random = s;
    return (double)s / 2147483648.0 - 1.0;
}

static bool append_row(struct recording *recording, char *line)
{
    size_t channels = 0;
    char *rest = line;

    for (;;) {
        char *end;
        const float value = strtof(rest, &end);

        if (end == rest) {
            return false;
        }
        if (recording->rows == 0 || channels < recording->channels) {
            recording->samples[recording->rows * recording->channels + channels] = value;
        }
        channels++;
        rest = end + strspn(end, ", \t;\r\n");
        if (*rest == 0) {
            break;
        }
    }
    if (recording->rows == 0) {
        recording->channels = channels;
    }
    recording->rows++;
    return channels == recording->channels;
}

const char *recording_read(struct recording *recording, const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0, allocated = 0;
    const char *wrong = file == NULL ? "can't open the recording" : NULL;

    *recording = (struct recording){ 0 };
    for (size_t number = 0; wrong == NULL && getline(&line, &room, file) >= 0; number++) {
        const size_t needed = (recording->rows + 1) * (recording->channels + 1) + strlen(line);

        if (needed > allocated) {
            allocated = 2 * needed;
            float *grown = realloc(recording->samples, allocated * sizeof *grown);

            if (grown == NULL) {
                wrong = "the recording does not fit into memory";
                break;
            }
            recording->samples = grown;
        }
        if (!append_row(recording, line) && number > 0) {
            wrong = "a row of the recording does not have as many numbers as the first";
        }
    }
    if (wrong == NULL && recording->rows == 0) {
        wrong = "the recording is empty";
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
    return wrong;
}

void recording_free(struct recording *recording)
{
    free(recording->samples);
    recording->samples = NULL;
}

void sensor_start(struct sensor *sensor, const struct recording *recording, uint32_t seed)
{
    *sensor = (struct sensor){ .recording = recording, .random = seed * 2654435761u | 1u };
    if (recording != NULL) {
        sensor->row = seed * 97u % recording->rows;
    }
}

/* From a table: thousands of devices need millions of sines per second. */
static double sine(double angle)
{
    static double table[SINE_STEPS];
    static bool filled;

    for (size_t i = 0; !filled && i < SINE_STEPS; i++) {
        table[i] = sin((double)i * 2.0 * PI / SINE_STEPS);
    }
    filled = true;
    return table[(size_t)(angle * (SINE_STEPS / (2.0 * PI))) % SINE_STEPS];
}

/* -1 ... 1 */
static double generated(struct sensor *sensor, size_t channel)
{
    const double turn = sensor->phase * TURN + (double)channel;

    return AMPLITUDE_OF_RANGE * (sine(turn) + 0.3 * sine(3.0 * turn) + 0.2 * next_noise(sensor)
                                 + sensor->bearing * 2.0 * sine(sensor->phase * BEARING));
}

static double sample(struct sensor *sensor, size_t channel, double full_scale)
{
    if (sensor->recording == NULL) {
        return generated(sensor, channel) * full_scale;
    }
    const struct recording *recording = sensor->recording;

    return (double)recording->samples[sensor->row * recording->channels + channel % recording->channels];
}

static void advance(struct sensor *sensor)
{
    sensor->phase += 1.0;
    if (sensor->recording != NULL) {
        sensor->row = (sensor->row + 1) % sensor->recording->rows;
    }
}

static long clamped(double value, double full_scale)
{
    return lround(fmin(fmax(value, -full_scale - 1.0), full_scale));
}

bool sensor_fill(struct sensor *sensor, const struct input_window *window, uint8_t *bytes, size_t capacity)
{
    const double full_scale = window->element_bytes == 1 ? 127.0 : 32767.0;

    if (window->element_bytes > 2 || (size_t)window->elements * window->element_bytes > capacity) {
        return false;
    }
    for (size_t i = 0; i < window->elements; i++) {
        const size_t channel = i % window->channels;
        const long value = clamped(sample(sensor, channel, full_scale), full_scale);

        bytes[i * window->element_bytes] = (uint8_t)(value & 0xFF);
        if (window->element_bytes == 2) {
            bytes[i * 2 + 1] = (uint8_t)((value >> 8) & 0xFF);
        }
        if (channel + 1u == window->channels) {
            advance(sensor);
        }
    }
    return true;
}
