/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tinyfleet inside your firmware: the one header to include. What is declared here keeps its name and meaning within a major
 * version of the library; the headers below `tinyfleet/` may change with each release.
 *
 * Give the library a part of your flash, a clock and a way to send, then call it from one task:
 *
 *     tinyfleet_init(&device, &port);
 *     for (;;) {
 *         // MQTT: another task calls tinyfleet_post(); serial: pass each byte to tinyfleet_line_byte()
 *         // a window of sensor data is complete: tinyfleet_infer(&device, window, sizeof window, &verdict)
 *         // while (tinyfleet_poll(&device)) is true there is work; otherwise sleep, at most a second
 *     }
 *
 * Only tinyfleet_post() and tinyfleet_connected() may be called from another task or from an interrupt, and only from one.
 * Nothing is allocated. Results below zero are errors (tinyfleet/error.h).
 */
#ifndef TINYFLEET_H
#define TINYFLEET_H

#ifdef __cplusplus
extern "C" {
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/agent.h"
#include "tinyfleet/engine_forest.h"
#include "tinyfleet/engine_network.h"
#include "tinyfleet/frame.h"
#include "tinyfleet/samples.h"

#define TINYFLEET_VERSION_MAJOR 0

/* Messages that wait between another task and tinyfleet_poll(); each takes TF_MESSAGE_MAX bytes. A power of two. */
#ifndef TINYFLEET_INBOX_MESSAGES
#define TINYFLEET_INBOX_MESSAGES 4
#endif

/* Longest answer of the agent. */
#define TINYFLEET_ANSWER_BYTES 640

/* The part of flash that belongs to tinyfleet. Offsets below are from its start. */
struct tinyfleet_flash {
    uint32_t bytes;
    uint32_t erase_bytes;       /* of its erase units, a power of two */
    uint32_t write_bytes;       /* of its write units, a power of two up to 32 */
    uint32_t provisioned_bytes; /* at offset 0: what `tinyfleet provision` writes; 0: an eighth of all */
    uint32_t samples_bytes;     /* of each of the two logs of samples; 0: the device keeps none */
};

/* Messages from another task, in a ring: that task moves head, tinyfleet_poll() moves tail. */
struct tinyfleet_inbox {
    uint32_t head, tail;
    bool connected;
    uint16_t lengths[TINYFLEET_INBOX_MESSAGES];
    uint8_t messages[TINYFLEET_INBOX_MESSAGES][TF_MESSAGE_MAX];
};

/* What your firmware provides. Copied by tinyfleet_init(); ctx is passed back as the first argument. */
struct tinyfleet_port {
    void *ctx;
    struct tinyfleet_flash flash;
    /* 0, or negative. Called for whole erase units and whole write units, each of which is written once after an erase. */
    int (*flash_read)(void *ctx, uint32_t offset, void *buffer, size_t length); /* NULL: copy from flash_map() */
    int (*flash_write)(void *ctx, uint32_t offset, const void *data, size_t length);
    int (*flash_erase)(void *ctx, uint32_t offset, size_t length);
    /* The address at which flash can be read in place: models run from there. */
    const uint8_t *(*flash_map)(void *ctx, uint32_t offset, size_t length);
    /* Milliseconds since the start; may wrap. */
    uint32_t (*now_ms)(void *ctx);
    /* Seconds since 1970, or 0 while unknown. NULL: the device has no clock. */
    uint32_t (*unix_s)(void *ctx);
    /* Restart the device: a new model begins its trial after a restart. */
    void (*restart)(void *ctx);
    /* Feed the watchdog. NULL: there is none; a model that hangs then hangs the device. */
    void (*watchdog_kick)(void *ctx);
    /* 1 when the watchdog or a fault ended the last run, else 0. NULL: unknown, taken for 0. */
    int (*was_fault)(void *ctx);
    /* Send a message to the gateway, over MQTT: publish it on the topic `up`. NULL: the device is on a serial line. */
    void (*send)(void *ctx, const uint8_t *message, size_t length);
    struct tinyfleet_inbox *inbox; /* NULL: the device is on a serial line */
    /* The kinds of models that may run, ended by NULL: tinyfleet_all_engines, or a shorter list of your own, and the linker
     * leaves out the rest. */
    const struct tf_engine *const *engines;
    const struct tf_recorder *recorder; /* &tf_sampling: keep samples, in flash.samples_bytes. NULL: keep none */
    void *arena;                        /* what the largest model needs to run, aligned to 8 bytes */
    uint32_t arena_bytes;
    uint32_t trial_inferences; /* how many real windows must succeed before a new model is confirmed; 0 where they are rare */
};

/* Threshold rules, neural networks, tree ensembles. */
extern const struct tf_engine *const tinyfleet_all_engines[];

/* One device. The fields belong to the library. */
struct tinyfleet {
    struct tf_agent agent;
    struct tinyfleet_port port;
    struct tf_sampler sampler;
    uint8_t answer[TINYFLEET_ANSWER_BYTES];
};

/* Read identity and state from flash, and start the model that runs. Negative: never provisioned, or broken flash. */
int tinyfleet_init(struct tinyfleet *device, const struct tinyfleet_port *port);

/* A slice of work: messages that wait, the update in progress, a report that is due. True: call again at once. */
bool tinyfleet_poll(struct tinyfleet *device);

/* Run the model on one window of input. Negative: there is no model, the size is wrong, or the model failed. */
int tinyfleet_infer(struct tinyfleet *device, const void *window, size_t length, struct tf_verdict *verdict);

/* How many bytes of input the model that runs takes. 0: none runs. */
size_t tinyfleet_input_bytes(const struct tinyfleet *device);

/* The sensor gave no data, or invalid data. */
void tinyfleet_input_missing(struct tinyfleet *device);

/* Write "tinyfleet/<fleet>/<device>/<last>", the topic `down`, `up` or `presence`. Returns its length, 0 if it does not fit. */
size_t tinyfleet_topic(const struct tinyfleet *device, const char *last, char *topic, size_t capacity);

/* From the MQTT task: a message has arrived on the topic `down`. False: the inbox is full; wait a little and try again. */
bool tinyfleet_post(struct tinyfleet_inbox *inbox, const void *message, size_t length);

/* From the MQTT task: subscribed to `down`. The device then sends a report. */
void tinyfleet_connected(struct tinyfleet_inbox *inbox);

/* A serial line. */
struct tinyfleet_line {
    void (*write)(const uint8_t *bytes, size_t length);
    struct tf_frame_receiver receiver;
    uint8_t buffer[TF_FRAME_BUFFER(TF_MESSAGE_MAX)];
};

void tinyfleet_line_init(struct tinyfleet_line *line, void (*write)(const uint8_t *bytes, size_t length));

/* A byte has arrived; at the end of a frame this answers it. From the task that polls. */
void tinyfleet_line_byte(struct tinyfleet *device, struct tinyfleet_line *line, uint8_t byte);

/* The regions of flash that tinyfleet_init() uses. Negative: it is too small. */
int tinyfleet_layout(const struct tinyfleet_flash *flash, struct tf_geometry *geometry);

#ifdef __cplusplus
}
#endif

#endif
