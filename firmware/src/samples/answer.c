/* SPDX-License-Identifier: Apache-2.0 */
/* The messages `pull` and `attest` (docs/specs/samples.md, section 4). */
#include "codec/cbor.h"
#include "report/report.h"
#include "samples/sample_log.h"
#include "samples/sampling.h"
#include "store/flash.h"
#include "tinyfleet/learning.h"
#include "tinyfleet/sha256.h"

#define MESSAGE_PULL 5
#define MESSAGE_ATTEST 6
#define MESSAGE_PIECE 15
#define BODY_SAMPLES 4
#define NONCE_BYTES 8
#define PIECE_BYTES_MAX 600u
#define ATTESTED_BYTES_MAX 16384u

/* The fields that both questions have, and where the answer goes. `last`: how many bytes, or the end of the range. */
struct question {
    struct tf_agent *agent;
    const struct tf_sample_log *log;
    uint32_t space, from, last;
    uint8_t *reply;
    size_t capacity;
};

/* An offset that is no longer held, or not yet, is moved to the nearest one: the answer names the offset that it has. */
static int answer_pull(const struct question *question)
{
    const struct tf_sample_log *log = question->log;
    const uint32_t from = question->from < log->first ? log->first : question->from > log->end ? log->end : question->from;
    struct tf_writer writer = {question->reply, question->capacity, 0};
    const uint32_t most = question->last < PIECE_BYTES_MAX ? question->last : PIECE_BYTES_MAX;
    const uint32_t held = log->end - from;
    const uint32_t length = held < most ? held : most;
    tf_write_head(&writer, TF_ARRAY, 4);
    tf_write_uint(&writer, MESSAGE_PIECE);
    tf_write_uint(&writer, question->space);
    tf_write_uint(&writer, from);
    tf_write_head(&writer, TF_BSTR, length);
    if (writer.length + length > writer.capacity) {
        return TF_ERR_CAPACITY;
    }
    tf_sample_log_read(&question->agent->hal, log, from, question->reply + writer.length, length);
    return (int)(writer.length + length);
}

static void hash_range(const struct question *question, uint8_t digest[TF_DIGEST_BYTES])
{
    struct tf_sha256 sha;
    uint8_t piece[TF_PIECE_BYTES];
    uint32_t n;
    tf_sha256_init(&sha);
    for (uint32_t at = question->from; at != question->last; at += n) {
        n = question->last - at < sizeof piece ? question->last - at : (uint32_t)sizeof piece;
        tf_sample_log_read(&question->agent->hal, question->log, at, piece, n);
        tf_sha256_update(&sha, piece, n);
    }
    tf_sha256_final(&sha, digest);
}

static void write_samples(struct tf_writer *writer, struct tf_agent *agent)
{
    const struct tf_sampler *sampler = agent->sampler;
    const struct tf_attested_range *attested = &sampler->attested;
    const struct tf_learner *learner = sampler->learner;
    const bool learns = learner != NULL && learner->stored[0].units != 0;
    tf_write_head(writer, TF_ARRAY, learns ? 17 : 12);
    tf_write_uint(writer, BODY_SAMPLES);
    tf_write_digest16(writer, tf_running_digest(agent));
    tf_write_uint(writer, tf_parameters_crc(agent));
    for (size_t i = 0; i < 2; i++) {
        tf_write_uint(writer, sampler->log[i].first);
        tf_write_uint(writer, sampler->log[i].end);
    }
    for (size_t i = 0; i < 3; i++) {
        tf_write_uint(writer, attested->range[i]);
    }
    tf_write_digest16(writer, attested->digest);
    tf_write_uint(writer, tf_sample_every(agent));
    if (learns) {
        tf_write_uint(writer, learner->stage);
        tf_write_uint(writer, learner->rows);
        tf_write_uint(writer, learner->stage == TF_LEARN_GROWING ? learner->position : 0);
        tf_write_uint(writer, learner->stored[1].end);
        tf_write_uint(writer, learner->anomalous);
    }
}

static int answer_attest(const struct question *question, const uint8_t *nonce)
{
    struct tf_attested_range *attested = &question->agent->sampler->attested;
    if (question->from < question->log->first || question->last > question->log->end || question->from > question->last ||
        question->last - question->from > ATTESTED_BYTES_MAX) {
        return TF_ERR_RANGE;
    }
    attested->range[0] = question->space;
    attested->range[1] = question->from;
    attested->range[2] = question->last;
    hash_range(question, attested->digest);
    return tf_report_sign(question->agent, write_samples, (struct tf_view){nonce, NONCE_BYTES}, question->reply, question->capacity);
}

/* What a space holds; NULL when the device has no such space. */
static const struct tf_sample_log *find_log(const struct tf_sampler *sampler, uint32_t space)
{
    const struct tf_sample_log *log = &sampler->log[space & 1];
    if (space >= TF_SPACE_ROWS) {
        if (space > TF_SPACE_FOREST || sampler->learner == NULL) {
            return NULL;
        }
        log = &sampler->learner->stored[space - TF_SPACE_ROWS];
    }
    return log->units != 0 ? log : NULL;
}

int tf_sampling_answer(struct tf_agent *agent, const uint8_t *message, size_t length, uint8_t *reply, size_t capacity)
{
    struct question question = {.agent = agent, .reply = reply, .capacity = capacity};
    struct tf_reader reader;
    tf_reader_init(&reader, (struct tf_view){message, length});
    const uint32_t items = tf_read_head(&reader, TF_ARRAY);
    const uint32_t type = tf_read_head(&reader, TF_UINT);
    const bool attests = type == MESSAGE_ATTEST;
    const uint8_t *nonce = attests ? tf_read_bytes_of(&reader, NONCE_BYTES) : NULL;
    question.space = tf_read_head(&reader, TF_UINT);
    question.from = tf_read_head(&reader, TF_UINT);
    question.last = tf_read_head(&reader, TF_UINT);
    if (tf_reader_end(&reader) != TF_OK || type > MESSAGE_ATTEST || items != type - MESSAGE_PULL + 4) {
        return TF_ERR_MESSAGE;
    }
    question.log = find_log(agent->sampler, question.space);
    if (question.log == NULL) {
        return TF_ERR_SPACE;
    }
    return attests ? answer_attest(&question, nonce) : answer_pull(&question);
}

const struct tf_recorder tf_sampling = {
    .operators = tf_sampling_operators,
    .open = tf_sampling_open,
    .record = tf_sampling_record,
    .answer = tf_sampling_answer,
};
