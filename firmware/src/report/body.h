/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of signed messages (docs/specs/protocol.md, section 2), before they are signed. */
#ifndef TF_REPORT_BODY_H
#define TF_REPORT_BODY_H

#include "codec/cbor.h"
#include "store/state.h"

enum tf_body {
    TF_BODY_REPORT = 0,
    TF_BODY_CAPABILITIES = 1,
    TF_BODY_SUMMARY = 2,
    TF_BODY_PARAMETERS = 3,
};

/* Writing the same body twice without a change of state in between gives the same bytes: the first pass may only count. */
void tf_body_write(struct tf_writer *writer, struct tf_agent *agent, enum tf_body body);

#endif
