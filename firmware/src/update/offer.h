/* SPDX-License-Identifier: Apache-2.0 */
/* Offers: verify the envelope, and carry it out as far as no blocks are needed. */
#ifndef TF_UPDATE_OFFER_H
#define TF_UPDATE_OFFER_H

#include "codec/bytes.h"
#include "store/state.h"

/*
 * Process an offer. transfer: its name, and when has_payload is set the payload. TF_NEEDS_BLOCKS: the transfer is open,
 * answer `have`. Otherwise the result to answer: TF_OK, TF_WORKING, or why the offer was refused.
 * A refused offer changes nothing. Everything that an accepted one changes is committed before this returns.
 */
TF_MUST_CHECK int tf_offer_accept(struct tf_agent *agent, struct tf_view envelope, const struct tf_transfer *transfer, bool has_payload);

#endif
