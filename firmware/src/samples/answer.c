/* SPDX-License-Identifier: Apache-2.0 */
/* The messages `pull` and `attest` (docs/specs/samples.md, section 4). */
#include <string.h>

#include "codec/cbor.h"
#include "report/report.h"
#include "samples/sample_log.h"
#include "samples/sampling.h"
#include "store/flash.h"
#include "tinyfleet/sha256.h"

#define OPERATOR 18
#define MESSAGE_PULL 5
#define MESSAGE_ATTEST 6
#define MESSAGE_PIECE 15
#define BODY_SAMPLES 4
#define NONCE_BYTES 8
#define PIECE_BYTES_MAX 600u
#define ATTESTED_BYTES_MAX 16384u

static const struct tf_sample_log *log_of(const struct tf_agent *agent, uint32_t space)
{
    return space < 2 && agent->sampler->log[space].units != 0 ? &agent->sampler->log[space] : NULL;
}

/* An offset that is no longer held, or not yet, is moved to the nearest one: the answer names the offset that it has. */
static int answer_pull(struct tf_agent *agent, struct tf_reader *reader, struct tf_writer *writer)
{
    const uint32_t space = tf_read_head(reader, TF_UINT);
    uint32_t from = tf_read_head(reader, TF_UINT);
    uint32_t most = tf_read_head(reader, TF_UINT);
    uint8_t bytes[PIECE_BYTES_MAX];
    uint32_t offset;
    if (tf_reader_end(reader) != TF_OK) {
        return TF_ERR_MESSAGE;
    }
    const struct tf_sample_log *log = log_of(agent, space);
    if (log == NULL) {
        return TF_ERR_SPACE;
    }
    from = from < log->first ? log->first : from > log->end ? log->end : from;
    most = most < sizeof bytes ? most : (uint32_t)sizeof bytes;
    const uint32_t length = tf_sample_log_span(&agent->hal, log, from, log->end - from < most ? log->end : from + most, &offset);
    const int error = tf_flash_read(&agent->hal, offset, bytes, length);
    if (error != TF_OK) {
        return error;
    }
    tf_write_head(writer, TF_ARRAY, 4);
    tf_write_head(writer, TF_UINT, MESSAGE_PIECE);
    tf_write_head(writer, TF_UINT, space);
    tf_write_head(writer, TF_UINT, from);
    tf_write_bytes(writer, bytes, length);
    return writer->length <= writer->capacity ? (int)writer->length : TF_ERR_CAPACITY;
}

static int hash_range(const struct tf_agent *agent, const struct tf_sample_log *log, struct tf_attested_range *range)
{
    struct tf_sha256 sha;
    uint8_t digest[TF_DIGEST_BYTES];
    uint32_t offset, n;
    tf_sha256_init(&sha);
    for (uint32_t at = range->from; at != range->to; at += n) {
        n = tf_sample_log_span(&agent->hal, log, at, range->to, &offset);
        const int error = tf_flash_hash(&agent->hal, &sha, offset, n);
        if (error != TF_OK) {
            return error;
        }
    }
    tf_sha256_final(&sha, digest);
    memcpy(range->digest, digest, sizeof range->digest);
    return TF_OK;
}

static void write_samples(struct tf_writer *writer, struct tf_agent *agent)
{
    const struct tf_sampler *sampler = agent->sampler;
    const struct tf_attested_range *range = &sampler->attested;
    const uint32_t numbers[] = {
        tf_parameters_crc(agent), sampler->log[0].first, sampler->log[0].end, sampler->log[1].first, sampler->log[1].end,
        range->space,             range->from,           range->to,
    };
    tf_write_head(writer, TF_ARRAY, 12);
    tf_write_head(writer, TF_UINT, BODY_SAMPLES);
    tf_write_digest16(writer, tf_running_digest(agent));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        tf_write_head(writer, TF_UINT, numbers[i]);
    }
    tf_write_digest16(writer, range->digest);
    tf_write_head(writer, TF_UINT, tf_sample_every(agent));
}

static int answer_attest(struct tf_agent *agent, struct tf_reader *reader, struct tf_writer *writer)
{
    struct tf_attested_range *range = &agent->sampler->attested;
    const uint8_t *nonce = tf_read_bytes_of(reader, NONCE_BYTES);
    range->space = tf_read_head(reader, TF_UINT);
    range->from = tf_read_head(reader, TF_UINT);
    range->to = tf_read_head(reader, TF_UINT);
    if (tf_reader_end(reader) != TF_OK) {
        return TF_ERR_MESSAGE;
    }
    const struct tf_sample_log *log = log_of(agent, range->space);
    if (log == NULL) {
        return TF_ERR_SPACE;
    }
    if (range->from < log->first || range->to > log->end || range->from > range->to || range->to - range->from > ATTESTED_BYTES_MAX) {
        return TF_ERR_RANGE;
    }
    const int error = hash_range(agent, log, range);
    return error == TF_OK ? tf_report_sign(agent, write_samples, (struct tf_view){nonce, NONCE_BYTES}, writer->data, writer->capacity)
                          : error;
}

static int answer(struct tf_agent *agent, const uint8_t *message, size_t length, uint8_t *reply, size_t capacity)
{
    struct tf_reader reader;
    struct tf_writer writer = {reply, capacity, 0};
    tf_reader_init(&reader, (struct tf_view){message, length});
    const uint32_t items = tf_read_head(&reader, TF_ARRAY);
    const uint32_t type = tf_read_head(&reader, TF_UINT);
    if (type == MESSAGE_PULL && items == 4) {
        return answer_pull(agent, &reader, &writer);
    }
    return type == MESSAGE_ATTEST && items == 5 ? answer_attest(agent, &reader, &writer) : TF_ERR_MESSAGE;
}

const struct tf_recorder tf_sampling = {
    .operators = 1u << OPERATOR,
    .open = tf_sampling_open,
    .record = tf_sampling_record,
    .answer = answer,
};
