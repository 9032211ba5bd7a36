/* SPDX-License-Identifier: Apache-2.0 */
/* Orders: an envelope arrives, is verified, and is carried out as far as that takes no blocks. */
#ifndef TF_ORDER_H
#define TF_ORDER_H

#include "codec/bytes.h"
#include "tinyfleet/agent.h"

/*
 * An offer. transfer: name, and the payload when has_payload. TF_END: the transfer is open (answer: have); else the
 * result to answer: TF_OK, TF_WORKING or why it was refused.
 */
TF_MUST_CHECK int tf_order_offer(struct tf_agent *agent, struct tf_view envelope, const struct tf_transfer *transfer, bool has_payload);

/* Open the transfer of the last accepted order again, with no block held. TF_END, or an error. */
TF_MUST_CHECK int tf_order_reopen(struct tf_agent *agent, const struct tf_transfer *transfer);

/*
 * Flash refused a write of the open transfer: begin it anew, once a start. What is meant is a mark that power loss tore
 * and that reads FF: some flash refuses it until it is erased, and all marks with it. TF_END, or an error.
 */
TF_MUST_CHECK int tf_order_restart(struct tf_agent *agent);

#endif
