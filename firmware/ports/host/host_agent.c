/* SPDX-License-Identifier: Apache-2.0 */
#include "host_agent.h"

#include <string.h>

#include "engines.h"
#include "stages.h"

static struct host_device *device_of(void *ctx)
{
    return ctx;
}

/* Count work that the agent does; the most of each is kept. */
static void worked(struct host_device *device, uint32_t operations, uint32_t bytes_read)
{
    struct host_unfed *now = &device->unfed;
    struct host_unfed *max = &device->unfed_max;

    now->operations += operations;
    now->bytes_read += bytes_read;
    max->operations = now->operations > max->operations ? now->operations : max->operations;
    max->bytes_read = now->bytes_read > max->bytes_read ? now->bytes_read : max->bytes_read;
}

static void feed(struct host_device *device)
{
    device->unfed = (struct host_unfed){0};
}

static int flash_read(void *ctx, uint32_t offset, void *buffer, size_t length)
{
    worked(device_of(ctx), 0, (uint32_t)length);
    return flash_model_read(&device_of(ctx)->flash, offset, buffer, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

static int flash_write(void *ctx, uint32_t offset, const void *data, size_t length)
{
    worked(device_of(ctx), 1, 0);
    return flash_model_write(&device_of(ctx)->flash, offset, data, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

static int flash_erase(void *ctx, uint32_t offset, size_t length)
{
    worked(device_of(ctx), 1, 0);
    return flash_model_erase(&device_of(ctx)->flash, offset, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

static const uint8_t *flash_map(void *ctx, uint32_t offset, size_t length)
{
    return flash_model_map(&device_of(ctx)->flash, offset, length);
}

static uint32_t now_ms(void *ctx)
{
    return device_of(ctx)->now_ms;
}

static uint32_t unix_s(void *ctx)
{
    return device_of(ctx)->unix_s;
}

static void reset(void *ctx)
{
    device_of(ctx)->wants_reset = true;
}

static void watchdog_kick(void *ctx)
{
    device_of(ctx)->fed++;
    feed(device_of(ctx)); /* and nothing else: the user of the process notices if it hangs */
}

static int was_fault(void *ctx)
{
    const int fault = device_of(ctx)->was_fault ? 1 : 0;

    device_of(ctx)->was_fault = false;
    return fault;
}

/* A sensor whose samples count on from reading to reading. */
static void count_samples(void *owner, uint8_t *samples)
{
    struct host_device *device = owner;

    for (size_t i = 0; i < SENSED_SAMPLES; i++) {
        samples[2 * i] = device->sensed++;
        samples[2 * i + 1] = 0;
    }
}

void host_device_init(struct host_device *device, const struct flash_model *flash, const struct tf_geometry *geometry,
                      struct tf_arena arena)
{
    memset(device, 0, sizeof *device);
    device->flash = *flash;
    device->arena = arena;
    device->engines = port_engines;
    device->engine_count = port_engine_count;
    device->sense = count_samples;
    device->sensor = device;
    device->sampler.burst_tokens = TF_SAMPLE_BURST_TOKENS;
    device->sampler.token_ms = TF_SAMPLE_TOKEN_MS;
    device->sampler.learner = &device->learner;
    device->agent.hal = (struct tf_hal){
        .ctx = device,
        .geometry = *geometry,
        .flash_read = flash_read,
        .flash_write = flash_write,
        .flash_erase = flash_erase,
        .flash_map = flash_map,
        .now_ms = now_ms,
        .unix_s = unix_s,
        .reset = reset,
        .watchdog_kick = watchdog_kick,
        .was_fault = was_fault,
    };
}

int host_boot(struct host_device *device)
{
    const struct tf_hal hal = device->agent.hal;

    if (setjmp(device->power) != 0) {
        return HOST_POWER_CUT;
    }
    device->flash.power = &device->power;
    device->wants_reset = false;
    feed(device);
    const int result = tf_agent_init(&device->agent, &hal, device->engines, device->engine_count, device->arena);

    const struct tf_recorder *recorder = device->unlearned ? &tf_sampling : &tf_learning;
    tf_agent_keep_samples(&device->agent, device->unsampled ? NULL : recorder, &device->sampler);
    tf_agent_run_stages(&device->agent, port_stages, &device->stage);
    builtins_serve(&device->builtins, &device->agent, device->sense, device->sensor);
    return result < 0 ? result : tf_agent_boot(&device->agent);
}

int host_handle(struct host_device *device, const uint8_t *message, size_t length, bool corrected, uint8_t *reply,
                size_t capacity)
{
    if (setjmp(device->power) != 0) {
        return HOST_POWER_CUT;
    }
    feed(device);
    return tf_agent_handle(&device->agent, message, length, corrected, reply, capacity);
}

int host_poll(struct host_device *device, uint32_t time_ms)
{
    device->now_ms = time_ms;
    if (setjmp(device->power) != 0) {
        return HOST_POWER_CUT;
    }
    feed(device);
    return tf_agent_poll(&device->agent, time_ms);
}

int host_report(struct host_device *device, uint8_t *reply, size_t capacity)
{
    if (setjmp(device->power) != 0) {
        return HOST_POWER_CUT;
    }
    return tf_agent_report(&device->agent, reply, capacity);
}

int host_infer(struct host_device *device, const uint8_t *input, size_t length, struct tf_verdict *verdict)
{
    if (setjmp(device->power) != 0) {
        return HOST_POWER_CUT;
    }
    return tf_agent_infer(&device->agent, input, length, verdict);
}

void host_input_missing(struct host_device *device)
{
    if (setjmp(device->power) == 0) {
        tf_agent_input_missing(&device->agent);
    }
}

int host_store(struct host_device *device)
{
    return builtins_store(&device->builtins);
}

int host_request(struct host_device *device, uint8_t *message, size_t capacity)
{
    return tf_operations_request(&device->agent, message, capacity);
}

void host_replies(const struct host_device *device, int32_t *heard)
{
    heard[0] = (int32_t)device->builtins.taken;
    heard[1] = (int32_t)device->builtins.replies;
    heard[2] = device->builtins.code;
}

void host_cut_after(struct host_device *device, uint64_t n, enum flash_cut cut, uint32_t seed)
{
    device->flash.cut_at = n == 0 ? 0 : device->flash.operations + n;
    device->flash.cut = cut;
    device->flash.random = seed | 1u;
}
