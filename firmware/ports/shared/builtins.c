/* SPDX-License-Identifier: Apache-2.0 */
#include "builtins.h"

#define OPERATION_STORE 1

static int sense(void *ctx, const uint8_t *octets, size_t length, uint8_t *result, size_t capacity)
{
    const struct builtins *builtins = ctx;

    (void)octets;
    if (length != 0) {
        return TF_ERR_RANGE;
    }
    if (capacity < SENSED_BYTES) {
        return TF_ERR_CAPACITY;
    }
    builtins->sense(builtins->owner, result);
    return (int)SENSED_BYTES;
}

/* Returns what the output was before. */
static int set_output(void *ctx, const uint8_t *octets, size_t length, uint8_t *result, size_t capacity)
{
    struct builtins *builtins = ctx;

    if (length != 1 || capacity < 1) {
        return TF_ERR_RANGE;
    }
    result[0] = builtins->output;
    builtins->output = octets[0];
    return 1;
}

int builtins_store(struct builtins *builtins)
{
    if (builtins->operations.state.waits) {
        return TF_ERR_BUSY; /* what it sends must stay as it is */
    }
    builtins->sense(builtins->owner, builtins->request);
    return tf_operations_ask(builtins->agent, OPERATION_STORE, builtins->request, SENSED_BYTES);
}

static int store(void *ctx, const uint8_t *octets, size_t length, uint8_t *result, size_t capacity)
{
    (void)octets;
    (void)result;
    (void)capacity;
    return length != 0 ? TF_ERR_RANGE : builtins_store(ctx);
}

static void replied(void *ctx, int code, const uint8_t *octets, size_t length)
{
    struct builtins *builtins = ctx;

    (void)octets;
    (void)length;
    builtins->code = (int8_t)code;
    builtins->taken += code == TF_WORKING;
    builtins->replies += code != TF_WORKING;
}

void builtins_serve(struct builtins *builtins, struct tf_agent *agent, void (*read_sensor)(void *owner, uint8_t *samples),
                    void *owner)
{
    static const struct tf_builtin table[] = { { 1, sense }, { 2, set_output }, { 3, store } };

    builtins->agent = agent;
    builtins->sense = read_sensor;
    builtins->owner = owner;
    builtins->operations.builtins = table;
    builtins->operations.builtin_count = sizeof table / sizeof table[0];
    builtins->operations.ctx = builtins;
    builtins->operations.result = builtins->result;
    builtins->operations.result_capacity = sizeof builtins->result;
    builtins->operations.replied = replied;
    tf_agent_serve_operations(agent, &tf_operations_part, &builtins->operations);
}
