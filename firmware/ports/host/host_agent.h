/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device on a Linux host: the agent, a flash model and an arena. Tests use it through the shared library;
 * tinyfleet-vdev links it.
 *
 * Any call below that runs the agent may return HOST_POWER_CUT: the requested power cut has happened, the agent has lost
 * its RAM, and only host_boot() makes sense next.
 */
#ifndef TINYFLEET_PORTS_HOST_HOST_AGENT_H
#define TINYFLEET_PORTS_HOST_HOST_AGENT_H

#include "builtins.h"
#include "flash_model.h"
#include "tinyfleet/agent.h"
#include "tinyfleet/learning.h"

#define HOST_POWER_CUT (-1000)

/* What the agent does without feeding the watchdog. */
struct host_unfed {
    uint32_t operations; /* programs and erases */
    uint32_t bytes_read;
};

struct host_device {
    struct flash_model flash;
    struct tf_agent agent;
    struct tf_arena arena;
    const struct tf_engine *const *engines; /* port_engines, unless changed before host_boot() */
    size_t engine_count;
    struct tf_sampler sampler;
    bool unsampled; /* from the next boot on: a port without the part that keeps samples */
    bool unlearned; /* likewise: a port that keeps samples, and does not learn */
    struct tf_stage stage;
    struct builtins builtins;
    void (*sense)(void *owner, uint8_t *samples); /* the sensor of the built-ins; one that counts, unless changed before host_boot() */
    void *sensor;
    uint8_t sensed; /* what that one has counted */
    struct tf_learner learner; /* used when the layout has its regions */
    jmp_buf power;
    bool wants_reset;  /* the agent asked for a restart: call host_boot() */
    bool was_fault;    /* the answer to the agent at its next boot */
    uint32_t now_ms;   /* the clock that the agent sees */
    uint32_t unix_s;   /* the time of day that it knows; 0: unknown */
    uint32_t fed;                /* how often the agent fed the watchdog */
    struct host_unfed unfed;     /* since it was last fed, or called */
    struct host_unfed unfed_max; /* the most that there ever was of each */
};

/* The memory of flash and arena belongs to the caller. */
void host_device_init(struct host_device *device, const struct flash_model *flash, const struct tf_geometry *geometry,
                      struct tf_arena arena);

int host_boot(struct host_device *device);
int host_handle(struct host_device *device, const uint8_t *message, size_t length, bool corrected, uint8_t *reply,
                size_t capacity);
int host_poll(struct host_device *device, uint32_t now_ms);
int host_report(struct host_device *device, uint8_t *reply, size_t capacity);
int host_infer(struct host_device *device, const uint8_t *input, size_t length, struct tf_verdict *verdict);

void host_input_missing(struct host_device *device);

/* Do what built-in 3 does (builtins.h). */
int host_store(struct host_device *device);
/* Write the request that waits as a message. */
int host_request(struct host_device *device, uint8_t *message, size_t capacity);
/* How many requests a node has taken, how many final replies there were, and the code of the last reply. */
void host_replies(const struct host_device *device, int32_t *heard);

/* Cut the power at the n-th flash operation from now (1: the next one); 0 cancels it. */
void host_cut_after(struct host_device *device, uint64_t n, enum flash_cut cut, uint32_t seed);

/* For tests, through cffi: the library owns all memory. NULL when there is not enough. */
struct host_device *host_device_new(uint32_t flash_bytes, const struct tf_geometry *geometry, uint32_t arena_bytes);
void host_device_free(struct host_device *device);
/* Give the agent another layout of the same flash, before it boots. */
void host_device_layout(struct host_device *device, const struct tf_geometry *geometry);
uint8_t *host_device_flash(struct host_device *device);
void host_device_scan(struct host_device *device);
/* Simulate a torn range that still reads FF: writes to it are refused until it is erased. */
void host_device_stain(struct host_device *device, uint32_t offset, uint32_t length);
/* Simulate flash that is worn out in a range; 0 bytes: nowhere. */
void host_device_wear(struct host_device *device, uint32_t offset, uint32_t length, enum flash_wear wear);
uint64_t host_device_operations(const struct host_device *device);
uint64_t host_device_units_erased(const struct host_device *device);
uint32_t host_device_violations(const struct host_device *device);
uint32_t host_device_fed(const struct host_device *device);
/* The most that the agent ever did without feeding the watchdog. */
uint32_t host_device_unfed_operations(const struct host_device *device);
uint32_t host_device_unfed_bytes(const struct host_device *device);
void host_device_set_time(struct host_device *device, uint32_t unix_s);
/* How many inferences a trial needs besides the golden vectors; 0 by default. */
void host_device_trial_inferences(struct host_device *device, uint32_t count);
/* Bounds of the sample logs (samples.h); they hold from the next boot. */
void host_device_sampling(struct host_device *device, uint32_t burst_tokens, uint32_t token_ms);
/* From the next boot on, be a port without the part that keeps samples. */
void host_device_leave_out_samples(struct host_device *device);
void host_device_leave_out_learning(struct host_device *device);
bool host_device_wants_reset(const struct host_device *device);
/* From the next boot on, each inference of a model of kind 0 faults, or no longer. The golden vectors pass. */
void host_device_fault_inferences(struct host_device *device, bool faults);
/* From the next boot on, each inference of a model of kind 0 gives INT32_MIN as its score. */
void host_device_lowest_scores(struct host_device *device);
void host_device_fault(struct host_device *device);
/* Write the digest of the running pack and return 1, or return 0 when nothing runs. */
int host_device_running(const struct host_device *device, uint8_t digest[TF_DIGEST_BYTES]);

#endif
