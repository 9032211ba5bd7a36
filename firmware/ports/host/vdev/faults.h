/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that can be injected into a virtual device: in its link, its models, and its power. */
#ifndef TINYFLEET_VDEV_FAULTS_H
#define TINYFLEET_VDEV_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct faults {
    double drop;            /* probability that a message is lost, in each direction */
    double corrupt;         /* probability that one byte of a message changes, in each direction (MQTT) */
    double bit_errors;      /* probability that a bit flips, in each direction (serial) */
    uint32_t delay_ms;      /* before an answer is sent */
    double bearing;         /* amplitude of a failing bearing's tone in the generated vibration, 0 ... 1 */
    bool golden;            /* every pack on trial fails its golden vectors */
    bool crash;             /* the device crashes during a trial */
    uint32_t cut_after;     /* power is cut at the n-th flash operation after the request; 0: never */
    uint32_t random;        /* state of the random generator */
};

/*
 * Apply one request: "drop=0.1", "corrupt=0.01", "bit-errors=5e-5", "delay=200", "bearing=0.5", "golden=1", "crash=1", "cut=12", "none".
 * NULL, or an error message.
 */
const char *faults_request(struct faults *faults, const char *request);

/* The requests, for --help. */
extern const char faults_help[];

bool faults_drop(struct faults *faults);
/* May change one byte. */
void faults_corrupt(struct faults *faults, uint8_t *message, size_t length);
/* May flip bits. */
void faults_flip_bits(struct faults *faults, uint8_t *bytes, size_t length);

#endif
