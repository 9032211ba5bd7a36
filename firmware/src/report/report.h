/* SPDX-License-Identifier: Apache-2.0 */
/* What the device says of itself, signed (docs/specs/protocol.md, section 2; docs/specs/report.md). */
#ifndef TF_REPORT_H
#define TF_REPORT_H

#include "codec/bytes.h"
#include "tinyfleet/agent.h"

enum tf_body {
    TF_BODY_REPORT = 0,
    TF_BODY_CAPABILITIES = 1,
    TF_BODY_SUMMARY = 2,
    TF_BODY_PARAMETERS = 3,
};

/* The message `signed` around a body. nonce: the asker's 8 bytes, or empty. Length, or TF_ERR_CAPACITY. */
TF_MUST_CHECK int tf_report_write(struct tf_agent *agent, enum tf_body body, struct tf_view nonce, uint8_t *out, size_t capacity);

#endif
