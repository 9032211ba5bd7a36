/* SPDX-License-Identifier: Apache-2.0 */
#include "update/staging.h"

#include "model/model.h"
#include "payload/decoder.h"
#include "store/blocks.h"
#include "store/flash.h"
#include "update/phase.h"
#include "update/transfer.h"
#include "update/trial.h"

static void begin_hash(struct tf_agent *agent)
{
    tf_sha256_init(&agent->work.sha);
    agent->work.done = 0;
    agent->work.job = TF_JOB_HASH;
}

static int begin_decode(struct tf_agent *agent)
{
    const struct tf_running *running = &agent->running;
    const struct tf_base base = {running->offset, running->pack.size, tf_running_digest(agent)};
    agent->work.job = TF_JOB_DECODE;
    return tf_decoder_begin(agent, &base);
}

/*
 * The received payload does not give the pack that the envelope names. Blocks whose frames had a bit corrected are the
 * first suspects. Otherwise nobody knows which block is wrong, and the order has failed: if the transfer started again, an
 * attacker could erase the slot without end.
 */
static int reject_payload(struct tf_agent *agent, int error)
{
    struct tf_state *state = tf_state(agent);
    agent->work.job = TF_JOB_NONE;
    if (tf_transfer_discard_corrected(agent)) {
        return TF_OK;
    }
    state->error = (int8_t)error;
    state->result = (int8_t)error;
    return tf_transfer_close(agent);
}

static int stage_receiving(struct tf_agent *agent)
{
    if (agent->work.job != TF_JOB_NONE) {
        return TF_WORKING;
    }
    if (tf_blocks_first_missing(agent) < tf_blocks_count(agent)) {
        return TF_NEEDS_BLOCKS;
    }
    if (tf_state(agent)->transfer.encoding == TF_ENCODING_RAW) {
        begin_hash(agent);
        return TF_WORKING;
    }
    int error = begin_decode(agent);
    if (error == TF_OK) {
        return TF_WORKING;
    }
    int rejected = reject_payload(agent, error);
    return rejected != TF_OK ? rejected : tf_state(agent)->result == TF_WORKING ? TF_NEEDS_BLOCKS : error;
}

int tf_staging_start(struct tf_agent *agent, uint8_t name)
{
    struct tf_state *state = tf_state(agent);
    if (name != state->transfer.name || state->sequence == 0) {
        return TF_ERR_NO_TRANSFER;
    }
    switch (state->phase) {
    case TF_PHASE_RECEIVING:
        return stage_receiving(agent);
    case TF_PHASE_STAGED:
        return TF_WORKING;
    case TF_PHASE_TRIAL:
        return TF_OK;
    default:
        return state->result == TF_WORKING ? TF_ERR_NO_TRANSFER : state->result;
    }
}

int tf_staging_decode(struct tf_agent *agent)
{
    int error = tf_decoder_slice(agent);
    if (error == TF_OK) {
        begin_hash(agent);
    } else if (error != TF_WORKING) {
        return reject_payload(agent, error);
    }
    return TF_OK;
}

static int finish_hash(struct tf_agent *agent)
{
    struct tf_state *state = tf_state(agent);
    const struct tf_candidate pack = tf_model_at(agent, state->target);
    uint8_t digest[TF_DIGEST_BYTES];
    tf_sha256_final(&agent->work.sha, digest);
    if (!tf_same(digest, pack.digest, sizeof digest)) {
        return reject_payload(agent, TF_ERR_IMAGE);
    }
    agent->work.job = TF_JOB_NONE;
    int error = tf_model_check(agent, &pack);
    if (error != TF_OK) {
        return tf_trial_failed(agent, error);
    }
    tf_slot_of(agent, state->target)->status = TF_STATUS_VERIFIED;
    agent->work.job = TF_JOB_RESET;
    return tf_phase_advance(agent, TF_EVENT_STAGED);
}

int tf_staging_hash(struct tf_agent *agent)
{
    struct tf_work *work = &agent->work;
    const struct tf_candidate pack = tf_model_at(agent, tf_state(agent)->target);
    const uint32_t left = pack.size - work->done;
    const uint32_t n = left < TF_SLICE_BYTES ? left : TF_SLICE_BYTES;
    int error = tf_flash_hash(&agent->hal, &work->sha, pack.offset + work->done, n);
    if (error != TF_OK) {
        return reject_payload(agent, error);
    }
    work->done += n;
    return work->done == pack.size ? finish_hash(agent) : TF_OK;
}
