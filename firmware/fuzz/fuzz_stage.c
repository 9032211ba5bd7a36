/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway that went mad, to a complete agent that runs the stage of a pipeline: messages with right tags around any
 * content, in any order, and messages of any bytes. Every signature is valid (any_signature.c).
 *
 * Input: records of a kind and a length (one byte each), and as many bytes.
 * TINYFLEET_FUZZ_REGION names a file with the provisioned region, next to one of the same name with .stage added: the
 * region of a device whose pre-baked model is a stage.
 */
#include "fuzz.h"
#include "fuzz_session.h"
#include "tinyfleet/engine_span.h"

#define PLACE_BYTES 8 /* of seq and offset, before the content of a piece */
#define FEED_TYPE 8

static struct host_device device;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_read_stage_region();
    return 0;
}

/* feed = [8, seq, offset, piece, tag] */
static void feed(const uint8_t *content, size_t length)
{
    if (length <= PLACE_BYTES) {
        return;
    }
    const uint32_t offset = tf_load32(content + 4) & INT32_MAX; /* a negative number would be no offset */
    const struct tf_piece piece = {FEED_TYPE, tf_load32(content), offset, {content + PLACE_BYTES, length - PLACE_BYTES}};
    fuzz_tagged(&device, &device.stage.session, &piece);
}

static void check(void)
{
    const struct tf_stage *stage = &device.stage;
    uint32_t left = 0;
    FUZZ_HOLDS(stage->phase <= TF_STAGE_READY);
    FUZZ_HOLDS((stage->phase == TF_STAGE_CLOSED) == (stage->session.number == 0));
    const bool whole =
        tf_engine_span(&device.agent.running.pack, &device.agent.arena, &device.stage.verdict, TF_INPUTS, stage->filled, &left) == NULL;
    FUZZ_HOLDS(stage->phase == TF_STAGE_FILLING ? !whole : stage->seq == 0 || whole);
    FUZZ_HOLDS(device.flash.violations == 0);
}

static void take(uint8_t kind, const uint8_t *content, size_t length)
{
    switch (kind % 4) {
    case 0:
        fuzz_open_session(&device, device.agent.running.digest, content, length);
        break;
    case 1:
        feed(content, length);
        break;
    case 2:
        fuzz_handle(&device, content, length);
        break;
    default:
        FUZZ_HOLDS(host_poll(&device, 1) >= 0);
        break;
    }
    check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_make_session_device(&device);
    FUZZ_HOLDS(device.agent.running.is_stage);
    fuzz_each_record(data, size, take);
    return 0;
}
