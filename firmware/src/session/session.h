/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions between a gateway and a device, and the tags of what they carry (docs/specs/stages.md, sections 2 and 3). */
#ifndef TF_SESSION_SESSION_H
#define TF_SESSION_SESSION_H

#include "codec/cbor.h"
#include "crypto/poly1305.h"
#include "tinyfleet/session_state.h"
#include "tinyfleet/state.h"

#define TF_SIGNATURE_BYTES 64
#define TF_OPENING_ITEMS 5u /* of `open`, and of `at`, which answers it */

enum tf_session_message { TF_MESSAGE_OPEN = 7, TF_MESSAGE_AT = 16 };

/* What `open` carries. */
struct tf_opening {
    uint32_t session;
    const uint8_t *digest16;
    const uint8_t *peer;
    const uint8_t *signature;
};

/* Bytes that a message carries, and what they are. */
struct tf_piece {
    uint8_t type; /* of the message */
    uint32_t seq;
    uint32_t offset;
    struct tf_view bytes;
};

/* Read what follows the type of `open`; the reader has its errors. */
struct tf_opening tf_session_read(struct tf_reader *reader);

/* Open a session: TF_OK, or the error for `result`, which leaves the session that is open as it is. */
TF_MUST_CHECK int tf_session_open(struct tf_agent *agent, struct tf_session *session, const struct tf_opening *opening);

/* Write `at`: the number of the session, its last input, and how much of that is here. Its length, or TF_ERR_CAPACITY. */
TF_MUST_CHECK int tf_session_write_at(const struct tf_session *session, uint32_t seq, uint32_t filled, struct tf_writer *writer);

void tf_session_tag(const struct tf_session *session, const struct tf_piece *piece, uint8_t tag[TF_TAG_BYTES]);

/* In constant time. */
TF_MUST_CHECK bool tf_session_verify(const struct tf_session *session, const struct tf_piece *piece, const uint8_t tag[TF_TAG_BYTES]);

#endif
