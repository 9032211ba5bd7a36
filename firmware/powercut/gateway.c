/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include <string.h>

#include "codec/cbor.h"
#include "lessons.h"
#include "samples.h"

#define ROUNDS_MAX 24
#define STARTS_AFTER_CUT 3
#define ANSWER_BYTES 640
#define OFFER 1
#define BLOCK 2
#define STAGE 4
#define ROTATE 24
#define HAVE 13

/* An answer of the device. */
struct answer {
    bool has; /* `have`; else `result` */
    int code;
    uint32_t first;
    struct tf_view held;
    uint8_t bytes[ANSWER_BYTES];
};

/* An offer in progress. */
struct exchange {
    struct simulation *sim;
    const struct offer *offer;
    struct answer answer;
};

static const struct offer *offer_of(const struct simulation *sim)
{
    return &sim->script->offers[sim_step(sim)->number];
}

static uint32_t blocks_of(const struct offer *offer)
{
    return (uint32_t)((offer->payload.size + offer->transfer.block_bytes - 1) / offer->transfer.block_bytes);
}

/* Send a message and read its answer. What the device has committed by then must never be undone. */
static const char *put(struct exchange *exchange, const struct tf_writer *question)
{
    struct answer *answer = &exchange->answer;
    struct tf_agent *agent = &exchange->sim->agent;
    const int length = tf_agent_handle(agent, question->data, question->length, false, answer->bytes, sizeof answer->bytes);
    sim_note(exchange->sim);
    if (length <= 0) {
        return "the device does not answer";
    }
    struct tf_reader reader;
    tf_reader_init(&reader, (struct tf_view){answer->bytes, (size_t)length});
    (void)tf_read_head(&reader, TF_ARRAY);
    answer->has = tf_read_head(&reader, TF_UINT) == HAVE;
    tf_expect_head(&reader, TF_UINT, exchange->offer->transfer.name);
    if (answer->has) {
        answer->first = tf_read_head(&reader, TF_UINT);
        answer->held = tf_read_bytes(&reader);
    } else {
        answer->code = tf_read_int(&reader);
    }
    return tf_reader_end(&reader) == TF_OK ? NULL : "the answer is malformed";
}

static const char *put_offer(struct exchange *exchange)
{
    uint8_t bytes[TF_MESSAGE_MAX];
    struct tf_writer writer = {bytes, sizeof bytes, 0};
    const struct offer *offer = exchange->offer;
    const struct tf_view envelope = exchange->sim->progress.reissued ? offer->reissued : offer->envelope;
    tf_write_head(&writer, TF_ARRAY, 4);
    tf_write_head(&writer, TF_UINT, OFFER);
    tf_write_head(&writer, TF_UINT, offer->transfer.name);
    tf_write_bytes(&writer, envelope.data, envelope.size);
    if (offer->payload.size == 0) {
        tf_write_null(&writer);
        exchange->sim->progress.may_run_new = true;
    } else {
        tf_write_head(&writer, TF_ARRAY, 3);
        tf_write_head(&writer, TF_UINT, offer->transfer.encoding);
        tf_write_head(&writer, TF_UINT, offer->transfer.payload_bytes);
        tf_write_head(&writer, TF_UINT, offer->transfer.block_bytes);
    }
    return put(exchange, &writer);
}

static const char *put_stage(struct exchange *exchange)
{
    uint8_t bytes[8];
    struct tf_writer writer = {bytes, sizeof bytes, 0};
    tf_write_head(&writer, TF_ARRAY, 2);
    tf_write_head(&writer, TF_UINT, STAGE);
    tf_write_head(&writer, TF_UINT, exchange->offer->transfer.name);
    exchange->sim->progress.may_run_new = true;
    return put(exchange, &writer);
}

static const char *send_block(struct exchange *exchange, uint32_t index)
{
    uint8_t bytes[TF_MESSAGE_MAX];
    uint8_t nothing[8];
    struct tf_writer writer = {bytes, sizeof bytes, 0};
    struct progress *progress = &exchange->sim->progress;
    const struct offer *offer = exchange->offer;
    const size_t at = (size_t)index * offer->transfer.block_bytes;
    const size_t left = offer->payload.size - at;
    progress->resent += progress->sent[index];
    progress->sent[index] = true;
    tf_write_head(&writer, TF_ARRAY, 4);
    tf_write_head(&writer, TF_UINT, BLOCK);
    tf_write_head(&writer, TF_UINT, offer->transfer.name);
    tf_write_head(&writer, TF_UINT, index);
    tf_write_bytes(&writer, offer->payload.data + at, left < offer->transfer.block_bytes ? left : offer->transfer.block_bytes);
    const bool restarted = exchange->sim->agent.work.restarted;
    const int length = tf_agent_handle(&exchange->sim->agent, bytes, writer.length, false, nothing, sizeof nothing);
    sim_note(exchange->sim);
    if (!restarted && exchange->sim->agent.work.restarted) {
        sim_forget_sent(exchange->sim);
    }
    return length == 0 ? NULL : "the device answers a block";
}

static bool is_held(const struct answer *answer, uint32_t index)
{
    const uint32_t bit = index - answer->first - 1;
    return index < answer->first ||
           (index > answer->first && bit / 8 < answer->held.size && (answer->held.data[bit / 8] >> bit % 8 & 1) != 0);
}

/* Send the missing blocks below `end`. */
static const char *send_missing(struct exchange *exchange, uint32_t end)
{
    const char *problem = NULL;
    for (uint32_t i = exchange->answer.first; i < end && problem == NULL; i++) {
        problem = is_held(&exchange->answer, i) ? NULL : send_block(exchange, i);
    }
    return problem;
}

/* Offer, send what is missing, stage, wait, until the device reports a result. */
static const char *run_to_end(struct exchange *exchange)
{
    bool staging = false;
    const char *problem = NULL;
    for (int round = 0; round < ROUNDS_MAX && problem == NULL; round++) {
        problem = staging ? put_stage(exchange) : put_offer(exchange);
        if (problem != NULL) {
            break;
        }
        if (!exchange->answer.has && exchange->answer.code != TF_WORKING) {
            return sim_settle(exchange->sim);
        }
        problem = exchange->answer.has ? send_missing(exchange, blocks_of(exchange->offer)) : sim_settle(exchange->sim);
        staging = staging || exchange->answer.has;
    }
    return problem != NULL ? problem : "the offer never completes";
}

/* Run to the end, then repeat the offer: the device must give the same result again, and do nothing. */
static const char *run_to_result(struct exchange *exchange)
{
    const char *problem = run_to_end(exchange);
    if (problem == NULL) {
        problem = put_offer(exchange);
    }
    return problem == NULL && exchange->answer.has ? "the offer is complete, but blocks are missing" : problem;
}

/*
 * A device can't distinguish a power cut during a trial from a model that resets it, so the second cut in one trial ends
 * the trial (TF_TRIAL_BOOTS). The gateway then makes the offer again, and no block is sent. One cut never has this effect.
 */
static bool cuts_ended_the_trial(const struct exchange *exchange)
{
    return exchange->answer.code == TF_ERR_RESET && exchange->offer->expect != TF_ERR_RESET && exchange->sim->depth >= 2;
}

static bool is_expected(const struct exchange *exchange)
{
    const int expect = exchange->offer->expect;
    if (expect == TF_ERR_FAULT && exchange->sim->depth >= 1) {
        return exchange->answer.code == expect || exchange->answer.code == TF_ERR_RESET; /* the cut erased the trace of the fault */
    }
    return exchange->answer.code == expect || (expect < 0 && cuts_ended_the_trial(exchange));
}

static const char *deliver(struct simulation *sim)
{
    struct exchange exchange = {.sim = sim, .offer = offer_of(sim)};
    const char *problem = run_to_result(&exchange);
    if (problem == NULL && exchange.offer->expect == TF_OK && !sim->progress.reissued && cuts_ended_the_trial(&exchange)) {
        sim->progress.reissued = true;
        problem = run_to_result(&exchange);
    }
    if (problem == NULL && !is_expected(&exchange)) {
        return "the offer has an unexpected result";
    }
    sim->progress.completed = problem == NULL;
    return problem;
}

/* A device that has accepted the rotation before a cut refuses its repetition, and writes nothing. */
static const char *rotate_root(struct simulation *sim)
{
    uint8_t bytes[TF_MESSAGE_MAX];
    uint8_t reply[ANSWER_BYTES];
    struct tf_writer writer = {bytes, sizeof bytes, 0};
    const struct offer *offer = offer_of(sim);
    const uint64_t before = sim->flash.operations;
    tf_write_head(&writer, TF_ARRAY, 3);
    tf_write_head(&writer, TF_UINT, ROTATE);
    tf_write_bytes(&writer, offer->envelope.data, offer->envelope.size);
    tf_write_bytes(&writer, offer->reissued.data, offer->reissued.size);
    const bool done = sim->agent.journal.record.state.rotation == offer->sequence;
    const int length = tf_agent_handle(&sim->agent, bytes, writer.length, false, reply, sizeof reply);
    sim_note(sim);
    struct tf_reader reader;
    tf_reader_init(&reader, (struct tf_view){reply, length > 0 ? (size_t)length : 0});
    tf_expect_heads(&reader, (const uint8_t[]){0x83, 14, 0xf6}, 3);
    const int code = tf_read_int(&reader);
    if (tf_reader_end(&reader) != TF_OK || code != (done ? TF_ERR_ROOT : TF_OK)) {
        return "the rotation has an unexpected result";
    }
    return done && sim->flash.operations != before ? "a repeated rotation is written again" : NULL;
}

/* A cut erases the trace of a fault, so one more fault is allowed for each cut. */
static const char *raise_faults(struct simulation *sim)
{
    const uint8_t most = (uint8_t)(sim_step(sim)->number + sim->depth);
    const char *problem = NULL;
    while (problem == NULL && sim->progress.starts < most && !sim_runs_expected(sim)) {
        sim->progress.starts++;
        sim->was_fault = true;
        problem = sim_start(sim);
    }
    return problem;
}

static const char *deliver_half(struct simulation *sim)
{
    struct exchange exchange = {.sim = sim, .offer = offer_of(sim)};
    const char *problem = put_offer(&exchange);
    if (problem == NULL && !exchange.answer.has) {
        return "the offer does not open a transfer";
    }
    return problem == NULL ? send_missing(&exchange, blocks_of(exchange.offer) / 2) : problem;
}

static const char *flip_bit(struct simulation *sim)
{
    const struct tf_running *running = &sim->agent.running;
    if (!sim->progress.started) {
        sim->progress.started = true;
        sim->bytes[running->offset + running->pack.size / 2] ^= 0x10;
        return sim_start(sim);
    }
    return NULL;
}

/* After a cut all starts are alike, so a few of them are enough. */
static const char *restart(struct simulation *sim)
{
    const char *problem = NULL;
    const uint8_t rest = sim->depth == 0 ? UINT8_MAX : STARTS_AFTER_CUT;
    for (uint8_t i = 0; i < rest && problem == NULL && sim->progress.starts < sim_step(sim)->number; i++) {
        sim->progress.starts++;
        problem = sim_start(sim);
    }
    return problem;
}

/* Remember what runs now, before the next step. */
static void remember(struct simulation *sim)
{
    memcpy(sim->progress.old, sim->agent.running.digest, TF_DIGEST_BYTES);
    sim->progress.old_parameter = sim->agent.running.parameters[0];
}

static void end_step(struct simulation *sim)
{
    struct progress *progress = &sim->progress;
    remember(sim);
    progress->resent_max = progress->resent > progress->resent_max ? progress->resent : progress->resent_max;
    progress->step++;
    progress->started = progress->may_run_new = progress->completed = progress->reissued = false;
    progress->starts = 0;
    progress->resent = 0;
    memset(progress->sent, 0, sizeof progress->sent);
}

static const char *play_step(struct simulation *sim)
{
    const enum act act = sim_step(sim)->act;
    if (!sim->progress.started) {
        remember(sim);
    }
    sim->progress.started = sim->progress.started || act != ACT_FLIP_BIT;
    static const char *(*const acts[])(struct simulation *) = {
        [ACT_DELIVER] = deliver,           [ACT_FLIP_BIT] = flip_bit,  [ACT_RESTART] = restart,
        [ACT_DELIVER_HALF] = deliver_half, [ACT_FAULT] = raise_faults, [ACT_SAMPLE] = samples_take,
        [ACT_LEARN] = lessons_learn,       [ACT_ROTATE] = rotate_root,
    };
    const char *problem = acts[act](sim);
    return problem != NULL ? problem : sim_check_step(sim);
}

const char *gateway_play(struct simulation *sim, enum part last)
{
    const char *problem = sim_start(sim);
    while (problem == NULL && sim->progress.step < sim->script->step_count && sim_step(sim)->part <= last) {
        problem = sim_settle(sim);
        if (problem == NULL) {
            problem = play_step(sim);
        }
        if (problem == NULL) {
            end_step(sim);
        }
    }
    return problem;
}
