/* SPDX-License-Identifier: Apache-2.0 */
#include "samples/sampling.h"

#include <string.h>

#include "report/body.h"
#include "samples/sample_log.h"
#include "store/flash.h"
#include "tinyfleet/pack.h"
#include "tinyfleet/sha256.h"

#define OPERATOR 18
/* FNV-1a of the names of parameters */
#define SAMPLE_EVERY 0x55d843edu   /* "sample-every" */
#define SAMPLE_WINDOWS 0x46c577a3u /* "sample-windows" */
#define ELEMENT_TYPE_AT 4          /* of the first input, in the section IO */
#define START_SHIFT 3 /* after a start, a bucket is an eighth full: a device that keeps restarting must not fill its log */

enum { FLAG_ANOMALY = 1, TYPE_SHIFT = 1 };

uint32_t tf_parameter_named(const struct tf_agent *agent, uint32_t name, uint32_t otherwise)
{
    struct tf_parameter_entry entry;
    if (agent->running.engine != NULL) {
        for (uint32_t i = 0; tf_pack_parameter(&agent->running.pack, i, &entry) == TF_OK; i++) {
            if (entry.name == name) {
                return agent->running.parameters[i] > 0 ? (uint32_t)agent->running.parameters[i] : 0;
            }
        }
    }
    return otherwise;
}

uint32_t tf_sample_every(const struct tf_agent *agent)
{
    return tf_parameter_named(agent, SAMPLE_EVERY, 0);
}

uint32_t tf_sampling_operators(const struct tf_agent *agent)
{
    const struct tf_region *samples = agent->hal.geometry.samples;
    return (samples[0].size | samples[1].size) != 0 ? 1u << OPERATOR : 0;
}

void tf_sampling_open(struct tf_agent *agent)
{
    struct tf_sampler *sampler = agent->sampler;
    for (size_t space = 0; space < 2; space++) {
        tf_sample_log_open(&agent->hal, &sampler->log[space], &agent->hal.geometry.samples[space]);
        sampler->log[space].tokens = sampler->burst_tokens >> START_SHIFT;
        sampler->log[space].refilled_ms = agent->hal.now_ms(agent->hal.ctx);
        sampler->log[space].skipped = 0;
    }
    sampler->normals = 0;
}

/* Take the tokens for this many bytes, a multiple of TF_SAMPLE_STEP_BYTES, or count the sample as skipped. */
static bool take(const struct tf_sampler *sampler, struct tf_sample_log *log, uint32_t now_ms, uint32_t bytes)
{
    const uint32_t more = (now_ms - log->refilled_ms) / sampler->token_ms, room = sampler->burst_tokens - log->tokens;
    log->refilled_ms += more * sampler->token_ms;
    log->tokens += more < room ? more : room;
    if (log->tokens < bytes / TF_SAMPLE_STEP_BYTES) {
        if (log->skipped < UINT16_MAX) {
            log->skipped++;
        }
        return false;
    }
    log->tokens -= bytes / TF_SAMPLE_STEP_BYTES;
    return true;
}

/* Which model decided, with which parameters, and by which forest if it was grown here: the first bytes of a SHA-256. */
static uint32_t context_of(const struct tf_agent *agent)
{
    const uint8_t *grown = agent->running.pack.grown;
    struct tf_sha256 sha;
    uint8_t digest[TF_DIGEST_BYTES];
    tf_store32(digest, tf_parameters_crc(agent));
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, agent->running.digest, TF_DIGEST_BYTES);
    tf_sha256_update(&sha, digest, sizeof(uint32_t));
    if (grown != NULL) {
        tf_sha256_update(&sha, grown - TF_DIGEST_BYTES, TF_DIGEST_BYTES); /* the end of its head (docs/specs/learning.md) */
    }
    tf_sha256_final(&sha, digest);
    return tf_load32(digest);
}

/* Count a normal window; true for every Nth. */
static bool due(struct tf_agent *agent)
{
    const uint32_t every = tf_sample_every(agent);
    if (every == 0 || ++agent->sampler->normals < every) {
        return false;
    }
    agent->sampler->normals = 0;
    return true;
}

void tf_sampling_record(struct tf_agent *agent, const uint8_t *input, size_t length, const struct tf_verdict *verdict)
{
    const struct tf_running *running = &agent->running;
    const bool anomaly = verdict->decision != 0;
    struct tf_sample_log *log = &agent->sampler->log[TF_SPACE_ANOMALIES];
    if (!anomaly) {
        if (!due(agent)) {
            return;
        }
        log = &agent->sampler->log[TF_SPACE_NORMALS];
    }
    if (log->units == 0) {
        return;
    }
    const uint8_t type = tf_pack_section(&running->pack, TF_SECTION_IO).data[ELEMENT_TYPE_AT];
    struct tf_sample_head head = {
        .boots = tf_state_view(agent)->boots,
        .ms = agent->hal.now_ms(agent->hal.ctx),
        .windows = agent->counters.inferences,
        .score = verdict->score,
        .flags = (uint8_t)(type << TYPE_SHIFT | (anomaly ? FLAG_ANOMALY : 0)),
    };
    struct tf_view window = {input, length};
    const uint32_t features = running->engine->features != NULL ? running->engine->features(&running->pack, input, head.raw) : 0;
    head.features = (uint8_t)features;
    const uint32_t head_bytes =
        tf_round_up((uint32_t)(offsetof(struct tf_sample_head, raw) + features * sizeof head.raw[0]), TF_SAMPLE_STEP_BYTES);
    uint32_t bytes = tf_round_up(head_bytes + (uint32_t)length, TF_SAMPLE_STEP_BYTES);
    if (bytes > log->room || bytes / TF_SAMPLE_STEP_BYTES > agent->sampler->burst_tokens || tf_parameter_named(agent, SAMPLE_WINDOWS, 1) == 0) {
        window.size = 0; /* it will never fit, or is not wanted */
        head.flags = anomaly ? FLAG_ANOMALY : 0;
        bytes = head_bytes;
    }
    if (!take(agent->sampler, log, head.ms, bytes)) {
        return;
    }
    head.skipped = log->skipped;
    head.context = context_of(agent);
    const int error = tf_sample_log_append(&agent->hal, log, &head, head_bytes, window);
    if (error == TF_OK) {
        log->skipped = 0;
    } else {
        tf_state(agent)->error = (int8_t)error; /* the device carries on: it needs no samples */
    }
}
