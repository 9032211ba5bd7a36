/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mending: an erase unit of the target slot in which a block was torn, or is to be sent again, is rewritten with just the
 * blocks that are held. Through scratch and one record, so that power loss at any point costs none of them.
 */
#ifndef TF_MEND_H
#define TF_MEND_H

#include "tinyfleet/agent.h"

/* unit: number of the erase unit within the slot. */
TF_MUST_CHECK int tf_mend(struct tf_agent *agent, uint32_t unit);

/* At boot: finish what power loss cut off. */
TF_MUST_CHECK int tf_mend_recover(struct tf_agent *agent);

#endif
