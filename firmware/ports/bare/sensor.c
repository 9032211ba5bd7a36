/* SPDX-License-Identifier: Apache-2.0 */
#include "sensor.h"

#include "builtins.h"
#include "input_window.h"

#define PERIOD_MS 200u
#define WINDOW_BYTES 1024u
#define WAVE_SAMPLES 32u

static _Alignas(4) uint8_t window[WINDOW_BYTES];
static uint32_t sampled_ms = 0u - PERIOD_MS; /* the first window comes at once: a trial may wait for it */
static uint32_t noise = 1;

static uint8_t next_sample(uint32_t index)
{
    const uint32_t at = index % WAVE_SAMPLES;
    const uint32_t wave = at < WAVE_SAMPLES / 2u ? at : WAVE_SAMPLES - at;

    noise ^= noise << 13;
    noise ^= noise >> 17;
    noise ^= noise << 5;
    return (uint8_t)(wave * 2u + (noise & 7u));
}

void sensor_read(void *owner, uint8_t *samples)
{
    (void)owner;
    for (uint32_t i = 0; i < SENSED_SAMPLES; i++) {
        samples[2u * i] = next_sample(i);
        samples[2u * i + 1u] = 0;
    }
}

void sensor_poll(struct tf_agent *agent, uint32_t now_ms)
{
    if (now_ms - sampled_ms < PERIOD_MS) {
        return;
    }
    sampled_ms = now_ms;
    const struct input_window wanted = input_window_of(agent);
    const uint32_t bytes = wanted.elements * wanted.element_bytes;
    struct tf_verdict verdict;

    if (wanted.elements == 0) {
        return;
    }
    if (bytes > WINDOW_BYTES) {
        tf_agent_input_missing(agent);
        return;
    }
    for (uint32_t i = 0; i < bytes; i++) {
        window[i] = i % wanted.element_bytes == 0 ? next_sample(i / wanted.element_bytes) : 0;
    }
    if (tf_agent_infer(agent, window, bytes, &verdict) < 0) {
        return; /* the agent has counted the error */
    }
}
