/* SPDX-License-Identifier: Apache-2.0 */
#include "runner.h"

#include "tinyfleet/engine_forest.h"
#include "tinyfleet/engine_network.h"
#include "tinyfleet/engine_output.h"
#include "tinyfleet/pack.h"

#define VERDICT_BYTES 1024u

enum { AT_PACK = 0, AT_ARENA = 4, AT_INPUT = 8, AT_INPUTS = 12, AT_PARAMETERS = 16 };

static const struct tf_engine *const engines[] = {&tf_engine_threshold, &tf_engine_network, &tf_engine_forest};

static uint32_t padded(uint32_t bytes)
{
    return (bytes + 3) & ~3u;
}

uint64_t runner_request_bytes(const uint8_t head[RUNNER_HEAD_BYTES])
{
    return RUNNER_HEAD_BYTES + 4ull * tf_load32(head + AT_PARAMETERS) + padded(tf_load32(head + AT_PACK)) +
           (uint64_t)padded(tf_load32(head + AT_INPUT)) * tf_load32(head + AT_INPUTS);
}

uint32_t runner_arena_bytes(const uint8_t head[RUNNER_HEAD_BYTES])
{
    return tf_load32(head + AT_ARENA);
}

static int check(const struct tf_pack *pack, const struct tf_engine **engine, uint32_t arena_bytes)
{
    const int error = tf_pack_check(pack, arena_bytes);
    if (error != TF_OK) {
        return error;
    }
    for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++) {
        if (engines[i]->kind == tf_pack_kind(pack)) {
            *engine = engines[i];
            return (*engine)->check(pack);
        }
    }
    return TF_ERR_KIND;
}

/* The first golden vector that fails, or -1. */
static int32_t first_wrong(const struct tf_engine *engine, const struct tf_pack *pack, const struct tf_arena *arena)
{
    int32_t index = 0;
    int result = engine->golden(pack, arena, 0);
    while (result == TF_OK) {
        index++;
        result = engine->golden(pack, arena, (uint32_t)index);
    }
    return result == TF_NO_MORE ? -1 : index;
}

static void set_parameters(const struct tf_pack *pack, const uint8_t *given, uint32_t count, int32_t *values)
{
    struct tf_parameter_entry entry;
    for (uint32_t i = 0; tf_pack_parameter(pack, i, &entry) == TF_OK; i++) {
        values[i] = i < count ? (int32_t)tf_load32(given + 4 * i) : entry.preset;
    }
}

void runner_answer(const struct runner_port *port, const uint8_t *request, uint8_t *arena_bytes, uint8_t *outputs)
{
    const uint32_t parameter_count = tf_load32(request + AT_PARAMETERS), input_bytes = tf_load32(request + AT_INPUT);
    const struct tf_arena arena = {arena_bytes, runner_arena_bytes(request)};
    const struct tf_pack pack = {.data = request + RUNNER_HEAD_BYTES + 4 * parameter_count, .size = tf_load32(request + AT_PACK)};
    const uint8_t *input = pack.data + padded(pack.size);
    const struct tf_engine *engine = NULL;
    int32_t parameters[TF_PARAMETER_TABLE_MAX];
    int32_t verdict_on_pack = check(&pack, &engine, arena.size);
    if (verdict_on_pack == TF_OK) {
        verdict_on_pack = engine->open(&pack, &arena);
    }
    port->write(port->ctx, &verdict_on_pack, sizeof verdict_on_pack);
    if (verdict_on_pack != TF_OK) {
        return;
    }
    const int32_t wrong = first_wrong(engine, &pack, &arena);
    port->write(port->ctx, &wrong, sizeof wrong);
    set_parameters(&pack, request + RUNNER_HEAD_BYTES, parameter_count, parameters);
    for (uint32_t left = tf_load32(request + AT_INPUTS); left > 0; left--, input += padded(input_bytes)) {
        struct tf_verdict verdict = {0, 0};
        const uint32_t before = port->instructions();
        const int32_t error = engine->run(&pack, &arena, parameters, input, input_bytes, &verdict);
        const uint32_t instructions = port->instructions() - before;
        const int bytes = error == TF_OK ? tf_engine_outputs(&pack, &arena, &verdict, outputs, arena.size + VERDICT_BYTES) : 0;
        const int32_t head[5] = {error, verdict.decision, verdict.score, (int32_t)instructions, bytes};
        port->write(port->ctx, head, sizeof head);
        port->write(port->ctx, outputs, bytes > 0 ? (size_t)bytes : 0);
    }
}
