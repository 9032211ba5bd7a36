/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include <string.h>

#include "codec/cbor.h"

#define ROUNDS_MAX 24
#define STARTS_AFTER_CUT 3
#define ANSWER_BYTES 640
#define OFFER 1
#define BLOCK 2
#define STAGE 4
#define HAVE 13

/* What the device answered. */
struct answer {
    bool has; /* `have`; else `result` */
    int code;
    uint32_t first;
    struct tf_view held;
    uint8_t bytes[ANSWER_BYTES];
};

/* One order on its way. */
struct talk {
    struct world *world;
    const struct order *order;
    struct answer answer;
};

static const struct order *order_of(const struct world *world)
{
    return &world->script->orders[world_step(world)->number];
}

static uint32_t blocks_of(const struct order *order)
{
    return (uint32_t)((order->payload.size + order->transfer.block_bytes - 1) / order->transfer.block_bytes);
}

/* Put a question. What the device has committed before it answers may never be taken back. */
static const char *put(struct talk *talk, const struct tf_writer *question)
{
    struct answer *answer = &talk->answer;
    struct tf_agent *agent = &talk->world->agent;
    const int length = tf_agent_handle(agent, question->data, question->length, false, answer->bytes, sizeof answer->bytes);
    world_note(talk->world);
    if (length <= 0) {
        return "it does not answer";
    }
    struct tf_reader reader;
    tf_reader_init(&reader, (struct tf_view){answer->bytes, (size_t)length});
    (void)tf_head(&reader, TF_ARRAY);
    answer->has = tf_head(&reader, TF_UINT) == HAVE;
    tf_expect(&reader, TF_UINT, talk->order->transfer.name);
    if (answer->has) {
        answer->first = tf_head(&reader, TF_UINT);
        answer->held = tf_bytes(&reader);
    } else {
        answer->code = tf_integer(&reader);
    }
    return tf_end(&reader) == TF_OK ? NULL : "its answer is malformed";
}

static const char *put_offer(struct talk *talk)
{
    uint8_t bytes[TF_MESSAGE_MAX];
    struct tf_writer writer = {bytes, sizeof bytes, 0};
    const struct order *order = talk->order;
    const struct tf_view envelope = talk->world->progress.again ? order->again : order->envelope;
    tf_write_head(&writer, TF_ARRAY, 4);
    tf_write_head(&writer, TF_UINT, OFFER);
    tf_write_head(&writer, TF_UINT, order->transfer.name);
    tf_write_bytes(&writer, envelope.data, envelope.size);
    if (order->payload.size == 0) {
        tf_write_null(&writer);
        talk->world->progress.may_run_new = true;
    } else {
        tf_write_head(&writer, TF_ARRAY, 3);
        tf_write_head(&writer, TF_UINT, order->transfer.encoding);
        tf_write_head(&writer, TF_UINT, order->transfer.payload_bytes);
        tf_write_head(&writer, TF_UINT, order->transfer.block_bytes);
    }
    return put(talk, &writer);
}

static const char *put_stage(struct talk *talk)
{
    uint8_t bytes[8];
    struct tf_writer writer = {bytes, sizeof bytes, 0};
    tf_write_head(&writer, TF_ARRAY, 2);
    tf_write_head(&writer, TF_UINT, STAGE);
    tf_write_head(&writer, TF_UINT, talk->order->transfer.name);
    talk->world->progress.may_run_new = true;
    return put(talk, &writer);
}

static const char *send_block(struct talk *talk, uint32_t index)
{
    uint8_t bytes[TF_MESSAGE_MAX];
    uint8_t nothing[8];
    struct tf_writer writer = {bytes, sizeof bytes, 0};
    struct progress *progress = &talk->world->progress;
    const struct order *order = talk->order;
    const size_t at = (size_t)index * order->transfer.block_bytes;
    const size_t left = order->payload.size - at;
    progress->resent += progress->sent[index];
    progress->sent[index] = true;
    tf_write_head(&writer, TF_ARRAY, 4);
    tf_write_head(&writer, TF_UINT, BLOCK);
    tf_write_head(&writer, TF_UINT, order->transfer.name);
    tf_write_head(&writer, TF_UINT, index);
    tf_write_bytes(&writer, order->payload.data + at, left < order->transfer.block_bytes ? left : order->transfer.block_bytes);
    const bool restarted = talk->world->agent.work.restarted;
    const int length = tf_agent_handle(&talk->world->agent, bytes, writer.length, false, nothing, sizeof nothing);
    world_note(talk->world);
    if (!restarted && talk->world->agent.work.restarted) {
        world_forget_sent(talk->world);
    }
    return length == 0 ? NULL : "it answers a block";
}

static bool is_held(const struct answer *answer, uint32_t index)
{
    const uint32_t bit = index - answer->first - 1;
    return index < answer->first || (index > answer->first && bit / 8 < answer->held.size && (answer->held.data[bit / 8] >> bit % 8 & 1) != 0);
}

/* Of the blocks below `end`. */
static const char *send_missing(struct talk *talk, uint32_t end)
{
    const char *problem = NULL;
    for (uint32_t i = talk->answer.first; i < end && problem == NULL; i++) {
        problem = is_held(&talk->answer, i) ? NULL : send_block(talk, i);
    }
    return problem;
}

/* Offer, send what is missing, stage, wait: until the device tells a result. */
static const char *lead(struct talk *talk)
{
    bool staging = false;
    const char *problem = NULL;
    for (int round = 0; round < ROUNDS_MAX && problem == NULL; round++) {
        problem = staging ? put_stage(talk) : put_offer(talk);
        if (problem != NULL) {
            break;
        }
        if (!talk->answer.has && talk->answer.code != TF_WORKING) {
            return world_settle(talk->world);
        }
        problem = talk->answer.has ? send_missing(talk, blocks_of(talk->order)) : world_settle(talk->world);
        staging = staging || talk->answer.has;
    }
    return problem != NULL ? problem : "the order comes to no end";
}

/* The order's result, heard by offering it once more: the device says what it said before, and does nothing. */
static const char *lead_to_result(struct talk *talk)
{
    const char *problem = lead(talk);
    if (problem == NULL) {
        problem = put_offer(talk);
    }
    return problem == NULL && talk->answer.has ? "its order is over, and blocks are missing" : problem;
}

/*
 * A device can't tell a cut in a trial from a model that resets it, so the second cut in one trial ends it
 * (TF_TRIAL_BOOTS); the gateway then orders anew, and no block travels. One cut never does that.
 */
static bool cuts_ended_the_trial(const struct talk *talk)
{
    return talk->answer.code == TF_ERR_RESET && talk->order->expect != TF_ERR_RESET && talk->world->depth >= 2;
}

static bool is_expected(const struct talk *talk)
{
    const int expect = talk->order->expect;
    if (expect == TF_ERR_FAULT && talk->world->depth >= 1) {
        return talk->answer.code == expect || talk->answer.code == TF_ERR_RESET; /* the cut took the word of the fault with it */
    }
    return talk->answer.code == expect || (expect < 0 && cuts_ended_the_trial(talk));
}

static const char *give_order(struct world *world)
{
    struct talk talk = {.world = world, .order = order_of(world)};
    const char *problem = lead_to_result(&talk);
    if (problem == NULL && talk.order->expect == TF_OK && !world->progress.again && cuts_ended_the_trial(&talk)) {
        world->progress.again = true;
        problem = lead_to_result(&talk);
    }
    if (problem == NULL && !is_expected(&talk)) {
        return "the order has another result than it should";
    }
    world->progress.over = problem == NULL;
    return problem;
}

/* A cut takes the word of its fault with it, so there may be one fault more for each. */
static const char *fault(struct world *world)
{
    const uint8_t most = (uint8_t)(world_step(world)->number + world->depth);
    const char *problem = NULL;
    while (problem == NULL && world->progress.starts < most && !world_runs_at_last(world)) {
        world->progress.starts++;
        world->was_fault = true;
        problem = world_start(world);
    }
    return problem;
}

static const char *begin_order(struct world *world)
{
    struct talk talk = {.world = world, .order = order_of(world)};
    const char *problem = put_offer(&talk);
    if (problem == NULL && !talk.answer.has) {
        return "the order does not open a transfer";
    }
    return problem == NULL ? send_missing(&talk, blocks_of(talk.order) / 2) : problem;
}

static const char *rot(struct world *world)
{
    const struct tf_running *running = &world->agent.running;
    if (!world->progress.begun) {
        world->progress.begun = true;
        world->bytes[running->offset + running->pack.size / 2] ^= 0x10;
        return world_start(world);
    }
    return NULL;
}

/* All starts are alike to a world that was cut: it goes on with a few of them only. */
static const char *start_again(struct world *world)
{
    const char *problem = NULL;
    const uint8_t rest = world->depth == 0 ? UINT8_MAX : STARTS_AFTER_CUT;
    for (uint8_t i = 0; i < rest && problem == NULL && world->progress.starts < world_step(world)->number; i++) {
        world->progress.starts++;
        problem = world_start(world);
    }
    return problem;
}

/* What runs now is what the next step begins with. */
static void look(struct world *world)
{
    memcpy(world->progress.old, world->agent.running.digest, TF_DIGEST_BYTES);
    world->progress.old_parameter = world->agent.running.parameters[0];
}

static void end_step(struct world *world)
{
    struct progress *progress = &world->progress;
    look(world);
    progress->resent_max = progress->resent > progress->resent_max ? progress->resent : progress->resent_max;
    progress->step++;
    progress->begun = progress->may_run_new = progress->over = progress->again = false;
    progress->starts = 0;
    progress->resent = 0;
    memset(progress->sent, 0, sizeof progress->sent);
}

static const char *play_step(struct world *world)
{
    const enum act act = world_step(world)->act;
    if (!world->progress.begun) {
        look(world);
    }
    world->progress.begun = world->progress.begun || act != ACT_ROT;
    static const char *(*const acts[])(struct world *) = {
        [ACT_ORDER] = give_order, [ACT_ROT] = rot, [ACT_START] = start_again, [ACT_BEGIN] = begin_order, [ACT_FAULT] = fault};
    const char *problem = acts[act](world);
    return problem != NULL ? problem : world_step_is_over(world);
}

const char *gateway_play(struct world *world, enum part last)
{
    const char *problem = world_start(world);
    while (problem == NULL && world->progress.step < world->script->step_count && world_step(world)->part <= last) {
        problem = world_settle(world);
        if (problem == NULL) {
            problem = play_step(world);
        }
        if (problem == NULL) {
            end_step(world);
        }
    }
    return problem;
}
