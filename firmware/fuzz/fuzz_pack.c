/* SPDX-License-Identifier: Apache-2.0 */
/* A pack for any engine. If it passes the check, it must run on golden vectors and zeros within the pack and the arena. */
#include <string.h>

#include "engines.h"
#include "fuzz.h"
#include "tinyfleet/pack.h"

#define ARENA_BYTES 8192
#define INPUT_BYTES 4096
#define GOLDEN_MAX 4

static void run(const struct tf_engine *engine, const struct tf_pack *pack)
{
    struct tf_arena arena = {malloc(ARENA_BYTES), ARENA_BYTES};
    int32_t parameters[TF_PARAMETER_TABLE_MAX] = {0};
    struct tf_verdict verdict;
    uint8_t *input = calloc(1, INPUT_BYTES);
    int error = engine->open(pack, &arena);
    for (uint32_t i = 0; i < GOLDEN_MAX && error == TF_OK; i++) {
        error = engine->golden(pack, &arena, i);
    }
    if (engine->open(pack, &arena) == TF_OK) {
        (void)(engine->run(pack, &arena, parameters, input, INPUT_BYTES, &verdict) == TF_OK);
    }
    free(arena.data);
    free(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1); /* aligned, and with no accessible memory after it */
    const struct tf_pack pack = {.data = copy, .size = (uint32_t)size};
    memcpy(copy, data, size);
    int error = tf_pack_check(&pack, ARENA_BYTES);
    for (size_t i = 0; i < port_engine_count && error == TF_OK; i++) {
        if (port_engines[i]->kind == tf_pack_kind(&pack) && port_engines[i]->check(&pack) == TF_OK) {
            run(port_engines[i], &pack);
        }
    }
    free(copy);
    return 0;
}
