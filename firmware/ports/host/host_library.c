/* SPDX-License-Identifier: Apache-2.0 */
/* The part of host_agent.h that owns its memory, for tests that use it through cffi. */
#include <stdlib.h>
#include <string.h>

#include "engines.h"
#include "host_agent.h"

struct host_device *host_device_new(uint32_t flash_bytes, const struct tf_geometry *geometry, uint32_t arena_bytes)
{
    struct host_device *device = calloc(1, sizeof *device);
    const struct flash_model flash = {
        .bytes = malloc(flash_bytes),
        .written = calloc(flash_bytes / geometry->write_size, 1),
        .size = flash_bytes,
        .erase_size = geometry->erase_size,
        .write_size = geometry->write_size,
        .random = 1,
    };
    const struct tf_arena arena = { .data = malloc(arena_bytes), .size = arena_bytes };

    if (device == NULL || flash.bytes == NULL || flash.written == NULL || arena.data == NULL) {
        free(device);
        free(flash.bytes);
        free(flash.written);
        free(arena.data);
        return NULL;
    }
    memset(flash.bytes, 0xFF, flash_bytes);
    host_device_init(device, &flash, geometry, arena);
    return device;
}

void host_device_free(struct host_device *device)
{
    free(device->flash.bytes);
    free(device->flash.written);
    free(device->arena.data);
    free(device);
}

void host_device_layout(struct host_device *device, const struct tf_geometry *geometry)
{
    device->agent.hal.geometry = *geometry;
}

uint8_t *host_device_flash(struct host_device *device)
{
    return device->flash.bytes;
}

void host_device_scan(struct host_device *device)
{
    flash_model_scan(&device->flash);
}

void host_device_stain(struct host_device *device, uint32_t offset, uint32_t length)
{
    flash_model_stain(&device->flash, offset, length);
}

void host_device_wear(struct host_device *device, uint32_t offset, uint32_t length, enum flash_wear wear)
{
    device->flash.worn_offset = offset;
    device->flash.worn_bytes = length;
    device->flash.wear = wear;
}

uint64_t host_device_operations(const struct host_device *device)
{
    return device->flash.operations;
}

uint64_t host_device_units_erased(const struct host_device *device)
{
    return device->flash.units_erased;
}

uint32_t host_device_violations(const struct host_device *device)
{
    return device->flash.violations;
}

uint32_t host_device_fed(const struct host_device *device)
{
    return device->fed;
}

uint32_t host_device_unfed_operations(const struct host_device *device)
{
    return device->unfed_max.operations;
}

uint32_t host_device_unfed_bytes(const struct host_device *device)
{
    return device->unfed_max.bytes_read;
}

void host_device_set_time(struct host_device *device, uint32_t unix_s)
{
    device->unix_s = unix_s;
}

void host_device_trial_inferences(struct host_device *device, uint32_t count)
{
    device->agent.hal.trial_inferences = count;
}

void host_device_sampling(struct host_device *device, uint32_t burst_tokens, uint32_t token_ms)
{
    device->sampler.burst_tokens = burst_tokens;
    device->sampler.token_ms = token_ms;
}

void host_device_leave_out_samples(struct host_device *device)
{
    device->unsampled = true;
}

void host_device_leave_out_learning(struct host_device *device)
{
    device->unlearned = true;
}

bool host_device_wants_reset(const struct host_device *device)
{
    return device->wants_reset;
}

static int faulting_run(const struct tf_pack *pack, const struct tf_arena *arena, const int32_t *parameters, const uint8_t *input,
                        size_t length, struct tf_verdict *verdict)
{
    (void)pack;
    (void)arena;
    (void)parameters;
    (void)input;
    (void)length;
    (void)verdict;
    return TF_ERR_FAULT;
}

static int lowest_run(const struct tf_pack *pack, const struct tf_arena *arena, const int32_t *parameters, const uint8_t *input,
                      size_t length, struct tf_verdict *verdict)
{
    (void)pack;
    (void)arena;
    (void)parameters;
    (void)input;
    (void)length;
    *verdict = (struct tf_verdict){ .score = INT32_MIN };
    return TF_OK;
}

void host_device_lowest_scores(struct host_device *device)
{
    static struct tf_engine lowest;
    static const struct tf_engine *const engines[] = { &lowest };

    lowest = tf_engine_threshold;
    lowest.run = lowest_run;
    device->engines = engines;
    device->engine_count = 1;
}

void host_device_fault_inferences(struct host_device *device, bool faults)
{
    static struct tf_engine faulting;
    static const struct tf_engine *const engines[] = { &faulting, NULL }; /* the agent must not look behind the first */

    faulting = tf_engine_threshold;
    faulting.run = faulting_run;
    device->engines = faults ? engines : port_engines;
    device->engine_count = faults ? 1 : port_engine_count;
}

void host_device_fault(struct host_device *device)
{
    device->was_fault = true;
}

int host_device_running(const struct host_device *device, uint8_t digest[TF_DIGEST_BYTES])
{
    const uint8_t *running = tf_agent_running(&device->agent);

    if (running == NULL) {
        return 0;
    }
    memcpy(digest, running, TF_DIGEST_BYTES);
    return 1;
}
