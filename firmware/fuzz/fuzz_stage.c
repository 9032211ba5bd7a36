/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway that went mad, to a complete agent that runs the stage of a pipeline: messages with right tags around any
 * content, in any order, and messages of any bytes. Every signature is valid (any_signature.c).
 *
 * Input: records of a kind and a length (one byte each), and as many bytes.
 * TINYFLEET_FUZZ_REGION names a file with the provisioned region, next to one of the same name with .stage added: the
 * region of a device whose pre-baked model is a stage.
 */
#include <string.h>

#include "fuzz.h"
#include "fuzz_device.h"
#include "session/session.h"
#include "tinyfleet/engine_span.h"

#define REGION_BYTES 16384
#define FLASH_BYTES FUZZ_SLOTS_END(REGION_BYTES)
#define PLACE_BYTES 8 /* of seq and offset, before the content of a piece */
#define FEED_TYPE 8

static const struct tf_geometry geometry = {FUZZ_REGIONS(REGION_BYTES)};
static uint8_t region[REGION_BYTES];
static uint8_t bytes[FLASH_BYTES];
static _Alignas(8) uint8_t arena[16384];
static const struct fuzz_memory memory = {&geometry, bytes, sizeof bytes, region, {arena, sizeof arena}};
static struct host_device device;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_read_region(&memory, ".stage");
    return 0;
}

static void make_device(void)
{
    fuzz_make_device(&device, &memory);
    FUZZ_HOLDS(device.agent.running.is_stage);
    device.agent.journal.record.state.delegation.epoch = 1; /* as after its first envelope */
}

static void handle(const uint8_t *message, size_t length)
{
    static uint8_t reply[FUZZ_REPLY_BYTES];
    uint8_t *copy = malloc(length + 1); /* of exactly this size, so that a read past the end is found */
    memcpy(copy, message, length);
    FUZZ_HOLDS(host_handle(&device, copy, length, false, reply, sizeof reply) >= 0);
    free(copy);
}

static size_t put_head(uint8_t *at, uint8_t major, uint32_t value)
{
    const uint32_t low = value < 24 ? value : value < 256 ? 24 : value < 65536 ? 25 : 26;
    at[0] = (uint8_t)((uint32_t)major << 5 | low);
    const size_t more = value < 24 ? 0 : value < 256 ? 1 : value < 65536 ? 2 : 4;
    for (size_t i = 0; i < more; i++) {
        at[1 + i] = (uint8_t)(value >> (8 * (more - 1 - i)));
    }
    return 1 + more;
}

/* open = [7, session, digest16, peer, signature], with the pack that runs. */
static void open_session(const uint8_t *content, size_t length)
{
    uint8_t message[160] = {0x85, 7};
    size_t at = 2 + put_head(message + 2, 0, length > 0 ? content[0] : 1);
    at += put_head(message + at, 2, 16);
    memcpy(message + at, device.agent.running.digest, 16);
    at += 16;
    at += put_head(message + at, 2, 32);
    memcpy(message + at, content, length < 32 ? length : 32);
    at += 32;
    at += put_head(message + at, 2, 64);
    handle(message, at + 64);
}

/* feed = [8, seq, offset, piece, tag], with the right tag. */
static void feed(const uint8_t *content, size_t length)
{
    static uint8_t message[512];
    if (length <= PLACE_BYTES) {
        return;
    }
    const struct tf_piece piece = {FEED_TYPE, tf_load32(content), tf_load32(content + 4), {content + PLACE_BYTES, length - PLACE_BYTES}};
    uint8_t tag[TF_TAG_BYTES];
    tf_session_tag(&device.stage.session, &piece, tag);
    message[0] = 0x85;
    message[1] = FEED_TYPE;
    size_t at = 2 + put_head(message + 2, 0, piece.seq);
    at += put_head(message + at, 0, piece.offset);
    at += put_head(message + at, 2, (uint32_t)piece.bytes.size);
    memcpy(message + at, piece.bytes.data, piece.bytes.size);
    at += piece.bytes.size;
    at += put_head(message + at, 2, sizeof tag);
    memcpy(message + at, tag, sizeof tag);
    handle(message, at + sizeof tag);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    make_device();
    while (size >= 2) {
        const size_t length = data[1] < size - 2 ? data[1] : size - 2;
        switch (data[0] % 4) {
        case 0:
            open_session(data + 2, length);
            break;
        case 1:
            feed(data + 2, length);
            break;
        case 2:
            handle(data + 2, length);
            break;
        default:
            FUZZ_HOLDS(host_poll(&device, 1) >= 0);
            break;
        }
        check();
        data += 2 + length;
        size -= 2 + length;
    }
    return 0;
}
