/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of signed messages (docs/specs/protocol.md, section 2), before they are signed. */
#ifndef TF_BODY_H
#define TF_BODY_H

#include "codec/cbor.h"
#include "report/report.h"

void tf_body_write(struct tf_writer *writer, struct tf_agent *agent, enum tf_body body);

#endif
