/* SPDX-License-Identifier: Apache-2.0 */
/* The input of a virtual device: a CSV file, which each device reads from another row, or a generator of vibration (two
 * tones and noise, optionally with the tone of a failing bearing). */
#ifndef TINYFLEET_VDEV_SENSOR_H
#define TINYFLEET_VDEV_SENSOR_H

#include "input_window.h"

/* Samples shared by all devices: rows × channels. NULL samples: use the generator. */
struct recording {
    float *samples;
    size_t rows;
    size_t channels;
};

struct sensor {
    const struct recording *recording;
    size_t row;         /* next row of the recording */
    double phase;       /* of the generator */
    double bearing;     /* amplitude of a failing bearing's tone, 0 ... 1 */
    uint32_t random;
};

/* Read a CSV file with one row per point in time; a first line that is not a number is a heading.
 * NULL, or an error message. */
const char *recording_read(struct recording *recording, const char *path);
void recording_free(struct recording *recording);

void sensor_start(struct sensor *sensor, const struct recording *recording, uint32_t seed);

/* Fill one window; false when the model needs elements of a type that no sensor gives. */
bool sensor_fill(struct sensor *sensor, const struct input_window *window, uint8_t *bytes, size_t capacity);

#endif
