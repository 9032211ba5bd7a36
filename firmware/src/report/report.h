/* SPDX-License-Identifier: Apache-2.0 */
/* Signed messages about the device itself (docs/specs/protocol.md, section 2; docs/specs/report.md). */
#ifndef TF_REPORT_REPORT_H
#define TF_REPORT_REPORT_H

#include "report/body.h"

/*
 * Write the message `signed` around a body, and count the report. nonce: the 8 bytes of the question, or empty for an
 * unsolicited report. Returns the length, or TF_ERR_CAPACITY.
 */
TF_MUST_CHECK int tf_report_sign(struct tf_agent *agent, tf_body_writer *write_body, struct tf_view nonce, uint8_t *out, size_t capacity);

/* The same for one of the core's bodies. */
TF_MUST_CHECK int tf_report_write(struct tf_agent *agent, enum tf_body body, struct tf_view nonce, uint8_t *out, size_t capacity);

#endif
