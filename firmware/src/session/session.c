/* SPDX-License-Identifier: Apache-2.0 */
#include "session/session.h"

#include <string.h>

#include "crypto/ed25519.h"
#include "store/identity.h"
#include "store/state.h"
#include "tinyfleet/sha256.h"

#define CONTEXT "tinyfleet/session/1"
#define CONTEXT_BYTES (sizeof CONTEXT - 1)

/* What is signed, and what the key is made of besides the secret. */
struct terms {
    uint8_t context[CONTEXT_BYTES];
    uint8_t device[TF_UUID_BYTES];
    uint8_t boots[4];
    uint8_t session[4];
    uint8_t digest[TF_DIGEST16_BYTES];
    uint8_t peer[TF_KEY_BYTES];
};

static void write_terms(struct terms *terms, const struct tf_agent *agent, const struct tf_opening *opening)
{
    memcpy(terms->context, CONTEXT, CONTEXT_BYTES);
    memcpy(terms->device, agent->identity.device, sizeof terms->device);
    tf_store32(terms->boots, tf_state_view(agent)->boots);
    tf_store32(terms->session, opening->session);
    memcpy(terms->digest, opening->digest16, sizeof terms->digest);
    memcpy(terms->peer, opening->peer, sizeof terms->peer);
}

static int derive(struct tf_agent *agent, struct tf_session *session, const struct terms *terms)
{
    uint8_t seed[TF_KEY_BYTES];
    uint8_t shared[TF_KEY_BYTES];
    struct tf_sha256 sha;
    int error = tf_identity_seed(&agent->hal, seed);
    if (error == TF_OK) {
        error = tf_ed25519_agree(shared, seed, terms->peer);
    }
    if (error == TF_OK) {
        tf_sha256_init(&sha);
        tf_sha256_update(&sha, shared, sizeof shared);
        tf_sha256_update(&sha, terms, sizeof *terms);
        tf_sha256_final(&sha, session->key);
        tf_wipe(&sha, sizeof sha);
    }
    tf_wipe(seed, sizeof seed);
    tf_wipe(shared, sizeof shared);
    return error;
}

static int check_signer(const struct tf_agent *agent, const struct terms *terms, const uint8_t *signature)
{
    const struct tf_delegation *held = &tf_state_view(agent)->delegation;
    const uint32_t now = agent->hal.unix_s != NULL ? agent->hal.unix_s(agent->hal.ctx) : 0;
    const struct tf_view signed_bytes = {(const uint8_t *)terms, sizeof *terms};
    if (held->epoch == 0) {
        return TF_ERR_NO_DELEGATION;
    }
    if (held->exp != 0 && now > held->exp) {
        return TF_ERR_EXPIRED;
    }
    agent->hal.watchdog_kick(agent->hal.ctx);
    return tf_ed25519_verify(signature, held->key, &signed_bytes, 1);
}

struct tf_opening tf_session_read(struct tf_reader *reader)
{
    struct tf_opening opening;
    opening.session = tf_read_head(reader, TF_UINT);
    opening.digest16 = tf_read_bytes_of(reader, TF_DIGEST16_BYTES);
    opening.peer = tf_read_bytes_of(reader, TF_KEY_BYTES);
    opening.signature = tf_read_bytes_of(reader, TF_SIGNATURE_BYTES);
    return opening;
}

int tf_session_open(struct tf_agent *agent, struct tf_session *session, const struct tf_opening *opening)
{
    struct terms terms;
    if (opening->session <= session->number) {
        return TF_ERR_SEQUENCE;
    }
    write_terms(&terms, agent, opening);
    int error = check_signer(agent, &terms, opening->signature);
    if (error == TF_OK) {
        error = derive(agent, session, &terms);
    }
    if (error == TF_OK) {
        session->number = opening->session;
    }
    return error;
}

int tf_session_write_at(const struct tf_session *session, uint32_t seq, uint32_t filled, struct tf_writer *writer)
{
    uint8_t tag[TF_TAG_BYTES];
    uint8_t number[4];
    tf_store32(number, session->number);
    tf_session_tag(session, &(struct tf_piece){TF_MESSAGE_AT, seq, filled, {number, sizeof number}}, tag);
    tf_write_head(writer, TF_ARRAY, TF_OPENING_ITEMS);
    tf_write_uint(writer, TF_MESSAGE_AT);
    tf_write_uint(writer, session->number);
    tf_write_uint(writer, seq);
    tf_write_uint(writer, filled);
    tf_write_bytes(writer, tag, sizeof tag);
    return writer->length <= writer->capacity ? (int)writer->length : TF_ERR_CAPACITY;
}

void tf_session_tag(const struct tf_session *session, const struct tf_piece *piece, uint8_t tag[TF_TAG_BYTES])
{
    uint8_t place[13];
    uint8_t once[32];
    struct tf_sha256 sha;
    place[0] = piece->type;
    tf_store32(place + 1, piece->seq);
    tf_store32(place + 5, piece->offset);
    tf_store32(place + 9, (uint32_t)piece->bytes.size);
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, session->key, sizeof session->key);
    tf_sha256_update(&sha, place, sizeof place);
    tf_sha256_final(&sha, once);
    tf_poly1305(tag, once, piece->bytes);
    tf_wipe(once, sizeof once);
}

bool tf_session_verify(const struct tf_session *session, const struct tf_piece *piece, const uint8_t tag[TF_TAG_BYTES])
{
    uint8_t right[TF_TAG_BYTES];
    uint8_t differs = 0;
    tf_session_tag(session, piece, right);
    for (uint32_t i = 0; i < TF_TAG_BYTES; i++) {
        differs |= right[i] ^ tag[i];
    }
    return differs == 0;
}
