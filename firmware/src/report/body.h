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
typedef void tf_body_writer(struct tf_writer *writer, struct tf_agent *agent);
TF_MUST_CHECK tf_body_writer *tf_body(enum tf_body body);

/* CRC-32 of the parameters in force, as the body `parameters` has them; 0: none are set. */
TF_MUST_CHECK uint32_t tf_parameters_crc(const struct tf_agent *agent);

/* The first 16 bytes of a digest, or null. */
void tf_write_digest16(struct tf_writer *writer, const uint8_t *digest);

#endif
