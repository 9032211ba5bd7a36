/* SPDX-License-Identifier: Apache-2.0 */
/* The messages `open`, `feed` and `fetch` (docs/specs/stages.md, section 4). */
#include <string.h>

#include "session/session.h"
#include "store/state.h"
#include "tinyfleet/agent.h"
#include "tinyfleet/engine_span.h"
#include "tinyfleet/pack.h"

#define OPERATOR 20
#define KIND_NETWORK 1
#define PIECE_BYTES_MAX 1024u
#define OUT_OVERHEAD_BYTES 36u /* of `out`, besides its piece */
#define ITEMS 5u               /* of `feed` and `out` */

enum type { MESSAGE_FEED = 8, MESSAGE_FETCH = 9, MESSAGE_OUT = 17 };

/* A question for outputs. */
struct fetch {
    uint32_t seq, offset, most;
};

static int answer_at(const struct tf_stage *stage, struct tf_writer *writer)
{
    return tf_session_write_at(&stage->session, stage->seq, stage->filled, writer);
}

/* Where the next byte of the input goes, or NULL when the input is complete. */
static uint8_t *next_input(struct tf_agent *agent, uint32_t *left)
{
    return tf_engine_span(&agent->running.pack, &agent->arena, &agent->stage->verdict, TF_INPUTS, agent->stage->filled, left);
}

/* Does this piece continue the input, or begin a newer one? */
static bool is_next(const struct tf_stage *stage, const struct tf_piece *piece)
{
    if (stage->phase == TF_STAGE_FILLING && piece->seq == stage->seq) {
        return piece->offset == stage->filled;
    }
    return (stage->phase == TF_STAGE_FILLING || stage->phase == TF_STAGE_DONE) && piece->seq > stage->seq && piece->offset == 0;
}

/* Nothing of a piece is used before its tag is verified. */
static int on_feed(struct tf_agent *agent, const struct tf_piece *piece, const uint8_t *tag)
{
    struct tf_stage *stage = agent->stage;
    uint32_t left = 0;
    if (!is_next(stage, piece)) {
        return 0;
    }
    if (!tf_session_verify(&stage->session, piece, tag)) {
        return TF_ERR_MESSAGE;
    }
    stage->phase = TF_STAGE_FILLING;
    stage->seq = piece->seq;
    stage->filled = piece->offset;
    uint8_t *to = next_input(agent, &left);
    if (to == NULL || piece->bytes.size > left) {
        return TF_ERR_MESSAGE;
    }
    memcpy(to, piece->bytes.data, piece->bytes.size);
    stage->filled += (uint32_t)piece->bytes.size;
    if (next_input(agent, &left) == NULL) {
        stage->phase = TF_STAGE_READY;
    }
    return 0;
}

static void slice(struct tf_agent *agent)
{
    struct tf_stage *stage = agent->stage;
    if (stage->phase == TF_STAGE_READY) {
        agent->hal.watchdog_kick(agent->hal.ctx);
        stage->error = (int8_t)tf_agent_infer(agent, NULL, 0, &stage->verdict);
        stage->phase = TF_STAGE_DONE;
    }
}

static int answer_fetch(struct tf_agent *agent, const struct fetch *fetch, struct tf_writer *writer)
{
    struct tf_stage *stage = agent->stage;
    uint8_t tag[TF_TAG_BYTES];
    uint32_t left = 0;
    if (stage->phase == TF_STAGE_CLOSED) {
        return TF_ERR_SESSION;
    }
    if (fetch->seq != stage->seq || stage->phase == TF_STAGE_FILLING) {
        return answer_at(stage, writer);
    }
    slice(agent);
    if (stage->error != TF_OK) {
        return stage->error;
    }
    const uint8_t *from = tf_engine_span(&agent->running.pack, &agent->arena, &stage->verdict, TF_OUTPUTS, fetch->offset, &left);
    if (from == NULL || stage->seq == 0 || fetch->most == 0) {
        return TF_ERR_RANGE;
    }
    if (writer->capacity <= OUT_OVERHEAD_BYTES) {
        return TF_ERR_CAPACITY;
    }
    const uint32_t room = (uint32_t)writer->capacity - OUT_OVERHEAD_BYTES;
    const uint32_t most = room < PIECE_BYTES_MAX ? room : PIECE_BYTES_MAX, asked = fetch->most < left ? fetch->most : left;
    const struct tf_piece piece = {MESSAGE_OUT, fetch->seq, fetch->offset, {from, asked < most ? asked : most}};
    tf_session_tag(&stage->session, &piece, tag);
    tf_write_head(writer, TF_ARRAY, ITEMS);
    tf_write_uint(writer, MESSAGE_OUT);
    tf_write_uint(writer, piece.seq);
    tf_write_uint(writer, piece.offset);
    tf_write_bytes(writer, piece.bytes.data, piece.bytes.size);
    tf_write_bytes(writer, tag, sizeof tag);
    return writer->length <= writer->capacity ? (int)writer->length : TF_ERR_CAPACITY;
}

static int check_state(const struct tf_agent *agent, const uint8_t *digest16)
{
    const struct tf_running *running = &agent->running;
    if (tf_state_view(agent)->phase == TF_PHASE_TRIAL || agent->work.job == TF_JOB_RESET) {
        return TF_ERR_BUSY;
    }
    if (running->engine == NULL || tf_pack_kind(&running->pack) != KIND_NETWORK ||
        !tf_same(digest16, running->digest, TF_DIGEST16_BYTES)) {
        return TF_ERR_MODEL;
    }
    return TF_OK;
}

static int answer_open(struct tf_agent *agent, const struct tf_opening *opening, struct tf_writer *writer)
{
    struct tf_stage *stage = agent->stage;
    int error = check_state(agent, opening->digest16);
    if (error == TF_OK) {
        error = tf_session_open(agent, &stage->session, opening);
    }
    if (error != TF_OK) {
        return error;
    }
    stage->seq = 0;
    stage->filled = 0;
    stage->error = TF_OK;
    stage->phase = TF_STAGE_DONE;
    return answer_at(stage, writer);
}

static int answer(struct tf_agent *agent, const uint8_t *message, size_t length, uint8_t *reply, size_t capacity)
{
    struct tf_writer writer = {reply, capacity, 0};
    struct tf_reader reader;
    tf_reader_init(&reader, (struct tf_view){message, length});
    const uint32_t items = tf_read_head(&reader, TF_ARRAY);
    const uint32_t type = tf_read_head(&reader, TF_UINT);
    if (type == TF_MESSAGE_OPEN && items == TF_OPENING_ITEMS) {
        const struct tf_opening opening = tf_session_read(&reader);
        return tf_reader_end(&reader) == TF_OK ? answer_open(agent, &opening, &writer) : TF_ERR_MESSAGE;
    }
    const uint32_t first = tf_read_head(&reader, TF_UINT), offset = tf_read_head(&reader, TF_UINT);
    if (type == MESSAGE_FETCH && items == ITEMS - 1) {
        const struct fetch fetch = {first, offset, tf_read_head(&reader, TF_UINT)};
        return tf_reader_end(&reader) == TF_OK ? answer_fetch(agent, &fetch, &writer) : TF_ERR_MESSAGE;
    }
    const struct tf_piece piece = {MESSAGE_FEED, first, offset, tf_read_bytes(&reader)};
    const uint8_t *tag = tf_read_bytes_of(&reader, TF_TAG_BYTES);
    if (type != MESSAGE_FEED || items != ITEMS || tf_reader_end(&reader) != TF_OK || piece.bytes.size == 0 ||
        piece.bytes.size > PIECE_BYTES_MAX) {
        return TF_ERR_MESSAGE;
    }
    return on_feed(agent, &piece, tag);
}

const struct tf_stage_part tf_stages = {
    .operators = 1u << OPERATOR,
    .slice = slice,
    .answer = answer,
};
