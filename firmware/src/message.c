/* SPDX-License-Identifier: Apache-2.0 */
/* Messages (docs/specs/protocol.md, section 1): parsed strictly, carried out, answered. */
#include "codec/cbor.h"
#include "report/report.h"
#include "store/blocks.h"
#include "tinyfleet/agent.h"
#include "update/offer.h"
#include "update/rotate.h"
#include "update/staging.h"
#include "update/transfer.h"

#define TRANSFER_NAME_MAX 23
#define NONCE_BYTES 8
#define MESSAGE_ROTATE 24
#define MESSAGE_HAVE 13
#define MESSAGE_RESULT 14
#define NO_TRANSFER (-1)

/* One message: what is left to read, and where its answer goes. */
struct exchange {
    struct tf_agent *agent;
    struct tf_reader reader; /* after the message's type */
    bool corrected;
    uint8_t *reply;
    size_t capacity;
};

static int answer_result(const struct exchange *exchange, int name, int code)
{
    struct tf_writer writer = {exchange->reply, exchange->capacity, 0};
    tf_write_head(&writer, TF_ARRAY, 3);
    tf_write_uint(&writer, MESSAGE_RESULT);
    if (name == NO_TRANSFER) {
        tf_write_null(&writer);
    } else {
        tf_write_int(&writer, name);
    }
    tf_write_int(&writer, code);
    return writer.length <= writer.capacity ? (int)writer.length : TF_ERR_CAPACITY;
}

/* The `held` bits of protocol.md, without trailing zero bytes; returns their length. out may be NULL. */
static size_t held_bits(const struct tf_agent *agent, uint32_t first, uint8_t *out)
{
    const uint32_t blocks = tf_blocks_count(agent);
    size_t length = 0;
    uint8_t byte = 0;
    for (uint32_t i = first + 1; i < blocks; i++) {
        const uint32_t bit = i - first - 1;
        byte = (uint8_t)(bit % 8 == 0 ? 0 : byte);
        if (tf_block_held(agent, i)) {
            byte |= (uint8_t)(1u << bit % 8);
            length = bit / 8 + 1;
        }
        if (out != NULL && (bit % 8 == 7 || i + 1 == blocks)) {
            out[bit / 8] = byte;
        }
    }
    return length;
}

static int answer_have(const struct exchange *exchange, int name)
{
    struct tf_writer writer = {exchange->reply, exchange->capacity, 0};
    const uint32_t first = tf_blocks_first_missing(exchange->agent);
    const size_t length = held_bits(exchange->agent, first, NULL);
    tf_write_head(&writer, TF_ARRAY, 4);
    tf_write_uint(&writer, MESSAGE_HAVE);
    tf_write_int(&writer, name);
    tf_write_uint(&writer, first);
    tf_write_head(&writer, TF_BSTR, length);
    /* held_bits() writes trailing zero bytes too, so there must be room for all of them. */
    if (writer.length + (tf_blocks_count(exchange->agent) - first) / 8 + 1 > writer.capacity) {
        return TF_ERR_CAPACITY;
    }
    (void)held_bits(exchange->agent, first, exchange->reply + writer.length);
    return (int)(writer.length + length);
}

static int malformed(const struct exchange *exchange)
{
    exchange->agent->work.flags |= TF_FLAG_MALFORMED;
    return 0;
}

/* Read the name of a transfer. */
static int read_name(struct exchange *exchange)
{
    uint32_t name = tf_read_head(&exchange->reader, TF_UINT);
    if (name > TRANSFER_NAME_MAX && exchange->reader.error == TF_OK) {
        exchange->reader.error = TF_ERR_MESSAGE;
    }
    return (int)name;
}

static int on_ask(struct exchange *exchange)
{
    uint32_t what = tf_read_head(&exchange->reader, TF_UINT);
    const uint8_t *nonce = tf_read_bytes_of(&exchange->reader, NONCE_BYTES);
    if (tf_reader_end(&exchange->reader) != TF_OK || what > TF_BODY_PARAMETERS) {
        return malformed(exchange);
    }
    return tf_report_write(exchange->agent, (enum tf_body)what, (struct tf_view){nonce, NONCE_BYTES}, exchange->reply, exchange->capacity);
}

/* Read the payload of an offer; false when it has none. */
static bool read_payload(struct tf_reader *reader, struct tf_transfer *transfer)
{
    if (tf_peek_type(reader) != TF_ARRAY) {
        tf_expect_head(reader, TF_SIMPLE, TF_CBOR_NULL);
        return false;
    }
    tf_expect_head(reader, TF_ARRAY, 3);
    uint32_t encoding = tf_read_head(reader, TF_UINT);
    uint32_t payload_bytes = tf_read_head(reader, TF_UINT);
    uint32_t block_bytes = tf_read_head(reader, TF_UINT);
    /* tf_transfer_possible() refuses the largest value of each field. */
    transfer->encoding = encoding < UINT8_MAX ? (uint8_t)encoding : UINT8_MAX;
    transfer->payload_bytes = payload_bytes;
    transfer->block_bytes = block_bytes < UINT16_MAX ? (uint16_t)block_bytes : UINT16_MAX;
    return true;
}

static int on_offer(struct exchange *exchange)
{
    struct tf_transfer transfer = {0};
    const int name = read_name(exchange);
    struct tf_view envelope = tf_read_bytes(&exchange->reader);
    bool has_payload = read_payload(&exchange->reader, &transfer);
    if (tf_reader_end(&exchange->reader) != TF_OK || envelope.size == 0 || envelope.size > TF_ENVELOPE_MAX) {
        return malformed(exchange);
    }
    transfer.name = (uint8_t)name;
    int result = tf_offer_accept(exchange->agent, envelope, &transfer, has_payload);
    if (result == TF_NEEDS_BLOCKS) {
        return answer_have(exchange, name);
    }
    if (result < 0) {
        exchange->agent->work.flags |= TF_FLAG_REFUSED;
    }
    return answer_result(exchange, name, result);
}

static bool is_open(const struct exchange *exchange, int name)
{
    const struct tf_state *state = tf_state(exchange->agent);
    return state->phase == TF_PHASE_RECEIVING && name == state->transfer.name;
}

static int on_block(struct exchange *exchange)
{
    const int name = read_name(exchange);
    uint32_t index = tf_read_head(&exchange->reader, TF_UINT);
    struct tf_view bytes = tf_read_bytes(&exchange->reader);
    if (tf_reader_end(&exchange->reader) != TF_OK || !is_open(exchange, name)) {
        return malformed(exchange);
    }
    if (exchange->agent->work.job != TF_JOB_NONE) {
        return 0; /* all blocks are held and are being decoded */
    }
    int error = tf_transfer_write_block(exchange->agent, index, bytes, exchange->corrected);
    if (error == TF_ERR_MESSAGE) {
        return malformed(exchange);
    }
    if (error == TF_ERR_FLASH) {
        error = tf_transfer_restart(exchange->agent);
    }
    if (error < 0) {
        tf_state(exchange->agent)->error = (int8_t)error; /* the block stays missing: the answer to `missing` shows that */
    }
    return 0;
}

static int on_missing(struct exchange *exchange)
{
    const int name = read_name(exchange);
    if (tf_reader_end(&exchange->reader) != TF_OK) {
        return malformed(exchange);
    }
    return is_open(exchange, name) ? answer_have(exchange, name) : answer_result(exchange, name, TF_ERR_NO_TRANSFER);
}

static int on_stage(struct exchange *exchange)
{
    const int name = read_name(exchange);
    if (tf_reader_end(&exchange->reader) != TF_OK) {
        return malformed(exchange);
    }
    int result = tf_staging_start(exchange->agent, (uint8_t)name);
    return result == TF_NEEDS_BLOCKS ? answer_have(exchange, name) : answer_result(exchange, name, result);
}

static int on_rotate(struct exchange *exchange)
{
    struct tf_view rotation = tf_read_bytes(&exchange->reader);
    struct tf_view delegation = tf_read_bytes(&exchange->reader);
    if (tf_reader_end(&exchange->reader) != TF_OK || rotation.size == 0 || rotation.size > TF_ROTATION_MAX ||
        delegation.size > TF_DELEGATION_MAX) {
        return malformed(exchange);
    }
    return answer_result(exchange, NO_TRANSFER, tf_rotate(exchange->agent, rotation, delegation));
}

/* Messages of the optional parts: TF_ERR_MESSAGE when no part of the device takes it. */
static int on_part(const struct exchange *exchange, struct tf_view message)
{
    struct tf_agent *agent = exchange->agent;
    int (*const answers[])(struct tf_agent *, const uint8_t *, size_t, uint8_t *, size_t) = {
        agent->recorder != NULL ? agent->recorder->answer : NULL,
        agent->operations_part != NULL ? agent->operations_part->answer : NULL,
        agent->stage_part != NULL ? agent->stage_part->answer : NULL,
    };
    int answered = TF_ERR_MESSAGE;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0] && answered == TF_ERR_MESSAGE; i++) {
        if (answers[i] != NULL) {
            answered = answers[i](agent, message.data, message.size, exchange->reply, exchange->capacity);
        }
    }
    return answered;
}

int tf_agent_handle(struct tf_agent *agent, const uint8_t *message, size_t length, bool corrected, uint8_t *reply, size_t capacity)
{
    static const struct {
        uint8_t items; /* including the type */
        int (*handle)(struct exchange *);
    } handlers[] = {{3, on_ask}, {4, on_offer}, {4, on_block}, {2, on_missing}, {2, on_stage}};
    struct exchange exchange = {.agent = agent, .corrected = corrected, .reply = reply, .capacity = capacity};
    tf_reader_init(&exchange.reader, (struct tf_view){message, length});
    uint32_t items = tf_read_head(&exchange.reader, TF_ARRAY);
    uint32_t type = tf_read_head(&exchange.reader, TF_UINT);
    if (exchange.reader.error == TF_OK && type == MESSAGE_ROTATE && items == 3) {
        return on_rotate(&exchange);
    }
    if (exchange.reader.error == TF_OK && type >= sizeof handlers / sizeof handlers[0]) {
        int answered = on_part(&exchange, (struct tf_view){message, length});
        return answered >= 0 || answered == TF_ERR_CAPACITY ? answered
               : answered == TF_ERR_MESSAGE                 ? malformed(&exchange)
                                                            : answer_result(&exchange, NO_TRANSFER, answered);
    }
    if (exchange.reader.error != TF_OK || items != handlers[type].items) {
        return malformed(&exchange);
    }
    return handlers[type].handle(&exchange);
}
