/* SPDX-License-Identifier: Apache-2.0 */
#include "attacker.h"

#include <string.h>

#include "codec/cbor.h"

#define OFFER 1
#define BLOCK 2
#define MISSING 3
#define STAGE 4
#define NAMES 24
#define CONTENT_MAX 1100

void attacker_init(struct attacker *attacker, uint32_t seed, uint8_t offers)
{
    memset(attacker, 0, sizeof *attacker);
    attacker->random = seed * 2654435761u | 1u;
    attacker->offers = offers;
    attacker->insists = attacker_draw(attacker, 4) == 0;
    attacker->mood = (enum mood)attacker_draw(attacker, MOODS);
    attacker->offer = (uint8_t)attacker_draw(attacker, offers);
    attacker->flips = 1 + 7 * attacker_draw(attacker, 2);
}

uint32_t attacker_draw(struct attacker *attacker, uint32_t limit)
{
    uint32_t s = attacker->random;
    s ^= s << 13;
    s ^= s >> 17;
    s ^= s << 5;
    attacker->random = s;
    return (s >> 3) % limit;
}

/* True in one of n cases. */
static bool once_in(struct attacker *attacker, uint32_t n)
{
    return attacker_draw(attacker, n) == 0;
}

/* ------------------------------------------------------------------ offers */

/* A length of a payload that may lead out of the slot. */
static uint32_t draw_length(struct attacker *attacker, const struct script *script, const struct offer *offer)
{
    const uint32_t slot = script->geometry.slot[0].size, erase = script->geometry.slot[0].erase_size, size = (uint32_t)offer->payload.size;
    const uint32_t lengths[] = {
        size, size + 16, slot, slot - erase, slot - 16, slot + 16, slot + erase, 2 * slot, slot / 2, 0, 1, UINT32_MAX, UINT32_MAX - 15, 1u << 31,
    };
    return lengths[attacker_draw(attacker, sizeof lengths / sizeof lengths[0])];
}

static uint32_t draw_block_bytes(struct attacker *attacker, const struct offer *offer)
{
    const uint32_t sizes[] = {offer->transfer.block_bytes, 16, 32, 64, 128, 1024, 1040, 4096, 8, 0, 17, 65535, 65536 + 32};
    return once_in(attacker, 4) ? 16 * attacker_draw(attacker, 70) : sizes[attacker_draw(attacker, sizeof sizes / sizeof sizes[0])];
}

static void write_payload(struct attacker *attacker, const struct script *script, struct tf_writer *writer)
{
    const struct offer *offer = &script->offers[attacker->offer];
    const bool genuine = once_in(attacker, 3);
    if (once_in(attacker, 12)) {
        tf_write_null(writer);
        return;
    }
    tf_write_head(writer, TF_ARRAY, 3);
    tf_write_head(writer, TF_UINT, genuine || once_in(attacker, 2) ? offer->transfer.encoding : attacker_draw(attacker, 5));
    tf_write_head(writer, TF_UINT, genuine || once_in(attacker, 2) ? offer->payload.size : draw_length(attacker, script, offer));
    tf_write_head(writer, TF_UINT, genuine ? offer->transfer.block_bytes : draw_block_bytes(attacker, offer));
}

static void begin_offer(struct tf_writer *writer, uint32_t name, struct tf_view envelope)
{
    tf_write_head(writer, TF_ARRAY, 4);
    tf_write_head(writer, TF_UINT, OFFER);
    tf_write_head(writer, TF_UINT, name);
    tf_write_bytes(writer, envelope.data, envelope.size);
}

/* Mostly the same offer, or the next newer one: an envelope that was skipped is never accepted later. */
static void draw_offer(struct attacker *attacker)
{
    if (attacker->insists) {
        return;
    }
    if (once_in(attacker, attacker->mood == MOOD_WILD ? 16 : attacker->mood == MOOD_ALTERNATE ? 8 : 2) && attacker->offer + 1 < attacker->offers) {
        attacker->offer++;
    } else if (once_in(attacker, 64)) {
        attacker->offer = (uint8_t)attacker_draw(attacker, attacker->offers);
    }
}

static void write_offer(struct attacker *attacker, const struct script *script, struct tf_writer *writer)
{
    draw_offer(attacker);
    const struct offer *offer = &script->offers[attacker->offer];
    const struct tf_view envelope = once_in(attacker, 6) ? offer->reissued : offer->envelope;
    begin_offer(writer, attacker_draw(attacker, NAMES), envelope);
    if (once_in(attacker, 8)) {
        writer->data[writer->length - 1 - attacker_draw(attacker, (uint32_t)envelope.size)] ^= (uint8_t)(1u << attacker_draw(attacker, 8));
    }
    write_payload(attacker, script, writer);
}

/* ------------------------------------------------------------------ blocks */

static uint32_t draw_index(struct attacker *attacker, uint32_t blocks, uint32_t block_bytes)
{
    const uint32_t indices[] = {0, blocks - 1, blocks, blocks + 1, 2 * blocks, UINT16_MAX, UINT16_MAX + 1u, UINT32_MAX, UINT32_MAX / block_bytes + 1,
                                attacker_draw(attacker, blocks + 1)};
    return once_in(attacker, 3) ? indices[attacker_draw(attacker, sizeof indices / sizeof indices[0])] : attacker->next++ % blocks;
}

static uint32_t draw_size(struct attacker *attacker, uint32_t wanted, uint32_t block_bytes)
{
    const uint32_t sizes[] = {0, 1, wanted + 1, wanted + 16, wanted - 1, block_bytes, 2 * block_bytes, CONTENT_MAX, attacker_draw(attacker, CONTENT_MAX)};
    const uint32_t size = once_in(attacker, 4) ? sizes[attacker_draw(attacker, sizeof sizes / sizeof sizes[0])] : wanted;
    return size < CONTENT_MAX ? size : CONTENT_MAX;
}

/* The genuine bytes at this place of a payload, or any. */
static void fill(struct attacker *attacker, struct tf_view payload, uint32_t at, uint8_t *content, uint32_t size)
{
    if (at < payload.size && size <= payload.size - at) {
        memcpy(content, payload.data + at, size);
        return;
    }
    for (uint32_t i = 0; i < size; i++) {
        content[i] = (uint8_t)attacker_draw(attacker, 256);
    }
}

static void write_block(struct attacker *attacker, const struct script *script, const struct tf_state *state, struct tf_writer *writer)
{
    uint8_t content[CONTENT_MAX];
    const struct tf_transfer *open = &state->transfer;
    const uint32_t block_bytes = open->block_bytes != 0 ? open->block_bytes : 16, length = open->payload_bytes != 0 ? open->payload_bytes : 16;
    const uint32_t index = draw_index(attacker, (length - 1) / block_bytes + 1, block_bytes);
    const uint32_t at = index * block_bytes, left = length - at;
    const uint32_t size = draw_size(attacker, left < block_bytes ? left : block_bytes, block_bytes);
    fill(attacker, script->offers[attacker->offer].payload, once_in(attacker, 2) ? at : UINT32_MAX, content, size);
    tf_write_head(writer, TF_ARRAY, 4);
    tf_write_head(writer, TF_UINT, BLOCK);
    tf_write_head(writer, TF_UINT, once_in(attacker, 12) ? attacker_draw(attacker, NAMES) : open->name);
    tf_write_head(writer, TF_UINT, index);
    tf_write_bytes(writer, content, size);
}

static void write_short(struct tf_writer *writer, uint32_t type, uint32_t name)
{
    tf_write_head(writer, TF_ARRAY, 2);
    tf_write_head(writer, TF_UINT, type);
    tf_write_head(writer, TF_UINT, name);
}

/* Anything at all. */
static void write_wild(struct attacker *attacker, const struct script *script, const struct tf_state *state, struct tf_writer *writer)
{
    const uint32_t kind = attacker_draw(attacker, 32);
    if (kind < 5) {
        write_offer(attacker, script, writer);
    } else if (kind < 27) {
        write_block(attacker, script, state, writer);
    } else {
        write_short(writer, kind < 28 ? MISSING : STAGE, once_in(attacker, 12) ? attacker_draw(attacker, NAMES) : state->transfer.name);
    }
}

/* ------------------------------------------------------------------ whole transfers */

/* The offer that is open now, with a payload of this shape. */
static void repeat_offer(const struct attacker *attacker, const struct script *script, const struct tf_transfer *shape, struct tf_writer *writer)
{
    const struct offer *offer = &script->offers[attacker->offer];
    begin_offer(writer, offer->transfer.name, offer->envelope);
    tf_write_head(writer, TF_ARRAY, 3);
    tf_write_head(writer, TF_UINT, shape->encoding);
    tf_write_head(writer, TF_UINT, shape->payload_bytes);
    tf_write_head(writer, TF_UINT, shape->block_bytes);
}

/* Another shape that fits: other sizes of blocks, or as long a compressed payload as there is room for next to the pack. */
static void write_alternative(struct attacker *attacker, const struct script *script, struct tf_writer *writer)
{
    const struct tf_geometry *geometry = &script->geometry;
    struct tf_transfer shape = script->offers[attacker->offer].transfer;
    shape.block_bytes = (uint16_t)(16u << attacker_draw(attacker, 4));
    if (shape.encoding == TF_ENCODING_RAW && once_in(attacker, 2)) {
        const uint32_t pack_units = (shape.payload_bytes + geometry->slot[0].erase_size - 1) / geometry->slot[0].erase_size;
        shape.encoding = TF_ENCODING_HEATSHRINK;
        shape.payload_bytes = geometry->slot[0].size - pack_units * geometry->slot[0].erase_size;
    }
    repeat_offer(attacker, script, &shape, writer);
}

/* Block `step` - 1 of a payload of this shape: the genuine bytes as far as there are any. */
static void whole_block(struct attacker *attacker, struct tf_view payload, const struct tf_transfer *shape, struct tf_writer *writer)
{
    uint8_t content[TF_BLOCK_MAX];
    const uint32_t index = attacker->step - 1, at = index * shape->block_bytes, left = shape->payload_bytes - at;
    const uint32_t size = left < shape->block_bytes ? left : shape->block_bytes;
    fill(attacker, payload, attacker->mood == MOOD_GARBAGE ? UINT32_MAX : at, content, size);
    tf_write_head(writer, TF_ARRAY, 4);
    tf_write_head(writer, TF_UINT, BLOCK);
    tf_write_head(writer, TF_UINT, shape->name);
    tf_write_head(writer, TF_UINT, index);
    tf_write_bytes(writer, content, size);
}

/*
 * The next message of a transfer as a gateway would make it: the offer, its blocks in order, and the order to stage. If a
 * transfer is open, whatever its shape, the blocks are those of it.
 */
static void write_round(struct attacker *attacker, const struct script *script, const struct tf_state *state, struct tf_writer *writer)
{
    const bool open = state->phase == TF_PHASE_RECEIVING;
    if (!open && once_in(attacker, 3)) {
        attacker->step = 0; /* nothing to send blocks for */
        draw_offer(attacker);
    }
    const struct offer *offer = &script->offers[attacker->offer];
    const struct tf_transfer *shape = open ? &state->transfer : &offer->transfer;
    if (attacker->step == 0) {
        repeat_offer(attacker, script, &offer->transfer, writer);
    } else if ((attacker->step - 1) * shape->block_bytes < shape->payload_bytes) {
        whole_block(attacker, offer->payload, shape, writer);
    } else {
        write_short(writer, STAGE, shape->name);
        attacker->step = 0;
        draw_offer(attacker);
        return;
    }
    attacker->step++;
}

/* ------------------------------------------------------------------ messages */

static void write_message(struct attacker *attacker, const struct script *script, const struct tf_state *state, struct tf_writer *writer)
{
    switch (attacker->mood) {
    case MOOD_RELAY:
    case MOOD_GARBAGE:
        write_round(attacker, script, state, writer);
        break;
    case MOOD_ALTERNATE:
        draw_offer(attacker);
        write_alternative(attacker, script, writer);
        break;
    default:
        write_wild(attacker, script, state, writer);
    }
}

struct tf_view attacker_message(struct attacker *attacker, const struct script *script, const struct tf_state *state, bool *corrected)
{
    struct tf_writer writer = {attacker->message, sizeof attacker->message, 0};
    if (!attacker->insists && once_in(attacker, 40)) {
        attacker->mood = (enum mood)attacker_draw(attacker, MOODS);
        attacker->step = 0;
    }
    write_message(attacker, script, state, &writer);
    *corrected = once_in(attacker, attacker->flips);
    const size_t length = writer.length < writer.capacity ? writer.length : writer.capacity;
    return (struct tf_view){attacker->message, once_in(attacker, 64) ? attacker_draw(attacker, (uint32_t)length) : length};
}
