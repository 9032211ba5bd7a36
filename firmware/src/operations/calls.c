/* SPDX-License-Identifier: Apache-2.0 */
/* The messages `call`, `reply` and `request` (docs/specs/operations.md, section 7). */
#include "session/session.h"
#include "tinyfleet/agent.h"
#include "tinyfleet/operations.h"

#define OPERATOR 22
#define ITEMS 5u /* of each message */
#define AGAIN_MS 5000u
#define NUMBER_MAX 255u
#define CODE_MIN (-128)

enum type { MESSAGE_CALL = 10, MESSAGE_REPLY = 11, MESSAGE_RESULT = 14, MESSAGE_REQUEST = 18, MESSAGE_RETURNED = 19 };

static int finish(const struct tf_writer *writer)
{
    return writer->length <= writer->capacity ? (int)writer->length : TF_ERR_CAPACITY;
}

/* Write a message; a code is a number that may be negative. */
static int write(const struct tf_calls *calls, const struct tf_piece *piece, struct tf_writer *writer)
{
    uint8_t tag[TF_TAG_BYTES];
    tf_session_tag(&calls->session, piece, tag);
    tf_write_head(writer, TF_ARRAY, ITEMS);
    tf_write_uint(writer, piece->type);
    tf_write_uint(writer, piece->seq);
    tf_write_int(writer, (int32_t)piece->offset);
    tf_write_bytes(writer, piece->bytes.data, piece->bytes.size);
    tf_write_bytes(writer, tag, sizeof tag);
    return finish(writer);
}

static int write_request(const struct tf_calls *calls, struct tf_writer *writer)
{
    const struct tf_piece request = {MESSAGE_REQUEST, calls->number, calls->operation, {calls->octets, calls->octets_length}};
    return write(calls, &request, writer);
}

static int run(const struct tf_operations *operations, uint32_t function, struct tf_view octets)
{
    const size_t capacity = operations->result_capacity < TF_OCTETS_MAX ? operations->result_capacity : TF_OCTETS_MAX;
    for (size_t i = 0; i < operations->builtin_count; i++) {
        const struct tf_builtin *builtin = &operations->builtins[i];
        if (builtin->number == function) {
            const int result = builtin->call(operations->ctx, octets.data, octets.size, operations->result, capacity);
            return result > (int)capacity ? TF_ERR_CAPACITY : result < CODE_MIN ? CODE_MIN : result;
        }
    }
    return TF_ERR_FUNCTION;
}

/* The last call gets the same answer again, and nothing runs twice. */
static int on_call(struct tf_agent *agent, const struct tf_piece *call, struct tf_writer *writer)
{
    struct tf_calls *calls = &agent->operations->state;
    if (call->seq < calls->seq) {
        return 0;
    }
    if (call->offset == 0 && calls->waits) {
        return write_request(calls, writer);
    }
    if (call->seq > calls->seq) {
        agent->hal.watchdog_kick(agent->hal.ctx);
        const int result = call->offset == 0 ? 0 : run(agent->operations, call->offset, call->bytes);
        calls->seq = call->seq;
        calls->code = (int8_t)(result < 0 ? result : TF_OK);
        calls->result_length = (uint16_t)(result < 0 ? 0 : result);
    }
    const struct tf_piece returned = {
        MESSAGE_RETURNED, calls->seq, (uint32_t)calls->code, {agent->operations->result, calls->result_length}};
    return write(calls, &returned, writer);
}

static int on_reply(const struct tf_operations *operations, struct tf_calls *calls, const struct tf_piece *reply, struct tf_writer *writer)
{
    const int code = (int32_t)reply->offset;
    const bool news = code != TF_WORKING || !calls->taken;
    if (reply->seq == calls->number && calls->waits && news) {
        calls->taken = true;
        calls->waits = code == TF_WORKING;
        if (operations->replied != NULL) {
            operations->replied(operations->ctx, code, reply->bytes.data, reply->bytes.size);
        }
    }
    tf_write_head(writer, TF_ARRAY, 3);
    tf_write_uint(writer, MESSAGE_RESULT);
    tf_write_null(writer);
    tf_write_uint(writer, TF_OK);
    return finish(writer);
}

static int on_open(struct tf_agent *agent, const struct tf_opening *opening, struct tf_writer *writer)
{
    struct tf_calls *calls = &agent->operations->state;
    if (!tf_all(opening->digest16, 0, TF_DIGEST16_BYTES)) {
        return TF_ERR_MESSAGE; /* the session is one for a stage */
    }
    const int error = agent->work.job == TF_JOB_RESET ? TF_ERR_BUSY : tf_session_open(agent, &calls->session, opening);
    if (error != TF_OK) {
        return error;
    }
    calls->seq = 0;
    calls->due = true;
    return tf_session_write_at(&calls->session, 0, 0, writer);
}

/* Is this a code of a reply, or the number of a function? */
static bool is_valid(uint32_t type, int32_t number)
{
    return type == MESSAGE_CALL ? number >= 0 && number <= (int32_t)NUMBER_MAX : type == MESSAGE_REPLY && number >= CODE_MIN && number <= TF_WORKING;
}

/* Nothing of a message is used before its tag is verified. */
static int answer(struct tf_agent *agent, const uint8_t *message, size_t length, uint8_t *reply, size_t capacity)
{
    struct tf_calls *calls = &agent->operations->state;
    struct tf_writer writer = {reply, capacity, 0};
    struct tf_reader reader;
    tf_reader_init(&reader, (struct tf_view){message, length});
    tf_expect_head(&reader, TF_ARRAY, ITEMS);
    const uint32_t type = tf_read_head(&reader, TF_UINT);
    if (type == TF_MESSAGE_OPEN) {
        const struct tf_opening opening = tf_session_read(&reader);
        return tf_reader_end(&reader) == TF_OK ? on_open(agent, &opening, &writer) : TF_ERR_MESSAGE;
    }
    const uint32_t seq = tf_read_head(&reader, TF_UINT);
    const int32_t number = tf_read_int(&reader);
    const struct tf_piece piece = {(uint8_t)type, seq, (uint32_t)number, tf_read_bytes(&reader)};
    const uint8_t *tag = tf_read_bytes_of(&reader, TF_TAG_BYTES);
    if (tf_reader_end(&reader) != TF_OK || !is_valid(type, number) || seq == 0 || piece.bytes.size > TF_OCTETS_MAX) {
        return TF_ERR_MESSAGE;
    }
    if (calls->session.number == 0) {
        return TF_ERR_SESSION;
    }
    if (!tf_session_verify(&calls->session, &piece, tag)) {
        return TF_ERR_MESSAGE;
    }
    return type == MESSAGE_CALL ? on_call(agent, &piece, &writer) : on_reply(agent->operations, calls, &piece, &writer);
}

static int slice(struct tf_agent *agent)
{
    struct tf_calls *calls = &agent->operations->state;
    if (!calls->waits || (!calls->due && agent->work.now_ms - calls->sent_ms < AGAIN_MS)) {
        return 0;
    }
    if (calls->session.number != 0) {
        return TF_POLL_REQUEST;
    }
    calls->due = false;
    calls->sent_ms = agent->work.now_ms;
    agent->work.report_due = true; /* the gateway then opens a session */
    return 0;
}

int tf_operations_ask(struct tf_agent *agent, uint8_t operation, const uint8_t *octets, size_t length)
{
    struct tf_calls *calls = &agent->operations->state;
    if (calls->waits) {
        return TF_ERR_BUSY;
    }
    if (length > TF_OCTETS_MAX) {
        return TF_ERR_RANGE;
    }
    calls->number++;
    calls->operation = operation;
    calls->octets = octets;
    calls->octets_length = (uint16_t)length;
    calls->taken = false;
    calls->waits = true;
    calls->due = true;
    return TF_OK;
}

int tf_operations_request(struct tf_agent *agent, uint8_t *message, size_t capacity)
{
    struct tf_calls *calls = &agent->operations->state;
    struct tf_writer writer = {message, capacity, 0};
    calls->due = false;
    calls->sent_ms = agent->work.now_ms;
    return write_request(calls, &writer);
}

const struct tf_operations_part tf_operations_part = {
    .operators = 1u << OPERATOR,
    .slice = slice,
    .answer = answer,
};
