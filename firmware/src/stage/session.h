/* SPDX-License-Identifier: Apache-2.0 */
/* The session between a gateway and a stage, and the tags of pieces (docs/specs/stages.md, sections 2 and 3). */
#ifndef TF_STAGE_SESSION_H
#define TF_STAGE_SESSION_H

#include "crypto/poly1305.h"
#include "tinyfleet/stage.h"
#include "tinyfleet/state.h"

/* What `open` carries. */
struct tf_opening {
    uint32_t session;
    const uint8_t *digest16;
    const uint8_t *peer;
    const uint8_t *signature;
};

/* Bytes of an input or an output, and what they are. */
struct tf_piece {
    uint8_t type; /* of the message */
    uint32_t seq;
    uint32_t offset;
    struct tf_view bytes;
};

/* Open a session: TF_OK, or the error for `result`, which leaves the session that is open as it is. */
TF_MUST_CHECK int tf_session_open(struct tf_agent *agent, const struct tf_opening *opening);

void tf_session_tag(const struct tf_stage *stage, const struct tf_piece *piece, uint8_t tag[TF_TAG_BYTES]);

/* In constant time. */
TF_MUST_CHECK bool tf_session_verify(const struct tf_stage *stage, const struct tf_piece *piece, const uint8_t tag[TF_TAG_BYTES]);

#endif
