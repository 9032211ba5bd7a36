/* SPDX-License-Identifier: Apache-2.0 */
/* What can go wrong with a virtual device, on request: on its link, in its models, in its power. */
#ifndef TINYFLEET_VDEV_FAULTS_H
#define TINYFLEET_VDEV_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct faults {
    double drop;            /* chance that a message is lost, each way */
    double corrupt;         /* chance that a message has one byte changed, each way (MQTT) */
    double bit_errors;      /* chance that a bit is flipped, each way (serial) */
    uint32_t delay_ms;      /* before an answer leaves */
    double bearing;         /* how much of a failing bearing's tone is in the generated vibration, 0 ... 1 */
    bool golden;            /* no pack on trial passes its golden vectors */
    bool crash;             /* the device crashes in its trial */
    uint32_t cut_after;     /* power is cut at the n-th flash operation from when this was asked for; 0: never */
    uint32_t random;        /* state of the generator */
};

/*
 * Take one request: "drop=0.1", "corrupt=0.01", "bit-errors=5e-5", "delay=200", "bearing=0.5", "golden=1", "crash=1", "cut=12", "none".
 * NULL, or what is wrong with it.
 */
const char *faults_ask(struct faults *faults, const char *request);

/* The requests, for --help. */
extern const char faults_help[];

bool faults_drop(struct faults *faults);
/* Changes one byte, maybe. */
void faults_corrupt(struct faults *faults, uint8_t *message, size_t length);
/* Flips bits, maybe. */
void faults_flip_bits(struct faults *faults, uint8_t *bytes, size_t length);

#endif
