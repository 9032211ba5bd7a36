/* SPDX-License-Identifier: Apache-2.0 */
/* Where a virtual device's input comes from: a CSV file that all devices read from different places, or a generator of
 * vibration (two tones and noise, with a failing bearing's tone in it on request). */
#ifndef TINYFLEET_VDEV_SENSOR_H
#define TINYFLEET_VDEV_SENSOR_H

#include "input_window.h"

/* Samples shared by all devices: rows × channels. NULL samples: the generator. */
struct recording {
    float *samples;
    size_t rows;
    size_t channels;
};

struct sensor {
    const struct recording *recording;
    size_t row;         /* of the recording, the next to be read */
    double phase;       /* of the generator */
    double bearing;     /* 0 ... 1: how much of a failing bearing's tone is in it */
    uint32_t random;
};

/* Numbers separated by commas, one row per point in time; a first line that is no number is a heading.
 * NULL, or what is wrong. */
const char *recording_read(struct recording *recording, const char *path);
void recording_free(struct recording *recording);

void sensor_start(struct sensor *sensor, const struct recording *recording, uint32_t seed);

/* Fills one window; false when the model wants elements that no sensor here gives. */
bool sensor_fill(struct sensor *sensor, const struct input_window *window, uint8_t *bytes, size_t capacity);

#endif
