/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_session.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define MESSAGE_BYTES 1400
#define REGION_BYTES 16384
#define FLASH_BYTES FUZZ_SLOTS_END(REGION_BYTES)

static const struct tf_geometry geometry = {FUZZ_REGIONS(REGION_BYTES)};
static uint8_t region[REGION_BYTES];
static uint8_t bytes[FLASH_BYTES];
static _Alignas(8) uint8_t arena[16384];
static const struct fuzz_memory memory = {&geometry, bytes, sizeof bytes, region, {arena, sizeof arena}};

void fuzz_read_stage_region(void)
{
    fuzz_read_region(&memory, ".stage");
}

void fuzz_make_session_device(struct host_device *device)
{
    fuzz_make_device(device, &memory);
    device->agent.journal.record.state.delegation.epoch = 1;
}

void fuzz_each_record(const uint8_t *data, size_t size, void (*take)(uint8_t kind, const uint8_t *content, size_t length))
{
    while (size >= 2) {
        const size_t length = data[1] < size - 2 ? data[1] : size - 2;
        take(data[0], data + 2, length);
        data += 2 + length;
        size -= 2 + length;
    }
}

void fuzz_handle(struct host_device *device, const uint8_t *message, size_t length)
{
    static uint8_t reply[FUZZ_REPLY_BYTES];
    uint8_t *copy = malloc(length + 1); /* of exactly this size, so that a read past the end is found */
    memcpy(copy, message, length);
    FUZZ_HOLDS(host_handle(device, copy, length, false, reply, sizeof reply) >= 0);
    free(copy);
}

void fuzz_open_session(struct host_device *device, const uint8_t *digest16, const uint8_t *content, size_t length)
{
    uint8_t message[160], peer[TF_KEY_BYTES] = {0};
    const uint8_t signature[TF_SIGNATURE_BYTES] = {0};
    struct tf_writer writer = {message, sizeof message, 0};
    memcpy(peer, content, length < sizeof peer ? length : sizeof peer);
    tf_write_head(&writer, TF_ARRAY, TF_OPENING_ITEMS);
    tf_write_uint(&writer, TF_MESSAGE_OPEN);
    tf_write_uint(&writer, length > 0 ? content[0] : 1);
    tf_write_bytes(&writer, digest16, TF_DIGEST16_BYTES);
    tf_write_bytes(&writer, peer, sizeof peer);
    tf_write_bytes(&writer, signature, sizeof signature);
    fuzz_handle(device, message, writer.length);
}

void fuzz_tagged(struct host_device *device, const struct tf_session *session, const struct tf_piece *piece)
{
    static uint8_t message[MESSAGE_BYTES];
    uint8_t tag[TF_TAG_BYTES];
    struct tf_writer writer = {message, sizeof message, 0};
    tf_session_tag(session, piece, tag);
    tf_write_head(&writer, TF_ARRAY, 5);
    tf_write_uint(&writer, piece->type);
    tf_write_uint(&writer, piece->seq);
    tf_write_int(&writer, (int32_t)piece->offset);
    tf_write_bytes(&writer, piece->bytes.data, piece->bytes.size);
    tf_write_bytes(&writer, tag, sizeof tag);
    fuzz_handle(device, message, writer.length);
}
