/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sequence of messages to a complete agent on the flash model. Each has two bytes of length, whose highest bit says that
 * a bit of the frame was corrected, and the message itself. In between, the agent works and restarts as it requests.
 * Every signature is valid (any_signature.c). The agent must always run a model, and keep the rules of flash.
 *
 * TINYFLEET_FUZZ_REGION names a file with the provisioned region.
 */
#include <string.h>

#include "fuzz.h"
#include "fuzz_device.h"

#define REGION_BYTES 4096
#define SAMPLES_AT FUZZ_SLOTS_END(REGION_BYTES)
#define SAMPLES_BYTES (2 * FUZZ_ERASE)
#define LEARNING_AT (SAMPLES_AT + 2 * SAMPLES_BYTES)
#define LEARNING_BYTES (4 * FUZZ_ERASE)
#define FLASH_BYTES (LEARNING_AT + 2 * LEARNING_BYTES)
#define WINDOW_BYTES 32 /* of the pre-baked model */
#define TURNS_MAX 64

static const struct tf_geometry geometry = {
    FUZZ_REGIONS(REGION_BYTES),
    .samples = {{SAMPLES_AT, SAMPLES_BYTES, 0}, {SAMPLES_AT + SAMPLES_BYTES, SAMPLES_BYTES, 0}},
    .rows = {LEARNING_AT, LEARNING_BYTES, 0},
    .forest = {LEARNING_AT + LEARNING_BYTES, LEARNING_BYTES, 0},
};
static uint8_t region[REGION_BYTES];
static uint8_t bytes[FLASH_BYTES];
static _Alignas(8) uint8_t arena[8192];
static const struct fuzz_memory memory = {&geometry, bytes, sizeof bytes, region, {arena, sizeof arena}};
static struct host_device device;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_read_region(&memory, "");
    return 0;
}

static void work(void)
{
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        if (device.wants_reset) {
            FUZZ_HOLDS(host_boot(&device) == TF_OK);
        }
        FUZZ_HOLDS(tf_agent_running(&device.agent) != NULL);
        if ((host_poll(&device, (uint32_t)turn) & TF_POLL_WORK) == 0 && !device.wants_reset) {
            return;
        }
    }
    FUZZ_HOLDS(false); /* the agent never finishes its work */
}

/* Infer on the message's bytes as a window, to have samples to pull. */
static void infer(const uint8_t *message, size_t length)
{
    _Alignas(4) uint8_t window[WINDOW_BYTES] = {0};
    struct tf_verdict verdict;
    memcpy(window, message, length < sizeof window ? length : sizeof window);
    const int error = host_infer(&device, window, sizeof window, &verdict);
    FUZZ_HOLDS(error == TF_OK || error == TF_ERR_INPUT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t reply[FUZZ_REPLY_BYTES];
    fuzz_make_device(&device, &memory);
    while (size >= 2) {
        const size_t said = (size_t)(data[0] | (data[1] & 0x7f) << 8);
        const bool corrected = (data[1] & 0x80) != 0;
        const size_t length = said < size - 2 ? said : size - 2;
        uint8_t *message = malloc(length + 1);
        memcpy(message, data + 2, length);
        const uint32_t sequence = device.agent.journal.record.state.sequence;
        FUZZ_HOLDS(host_handle(&device, message, length, corrected, reply, sizeof reply) >= 0);
        infer(message, length);
        free(message);
        work();
        FUZZ_HOLDS(device.agent.journal.record.state.sequence >= sequence);
        data += 2 + length;
        size -= 2 + length;
    }
    FUZZ_HOLDS(device.flash.violations == 0);
    return 0;
}
