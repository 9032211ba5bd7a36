/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair of an erase unit of the target slot in which a block is torn or has to be sent again: the unit is rewritten with
 * only the blocks that are held. It goes through scratch and one journal record, so that power loss at any point costs
 * none of these blocks.
 */
#ifndef TF_UPDATE_REPAIR_H
#define TF_UPDATE_REPAIR_H

#include "store/state.h"

/* unit: number of the erase unit within the slot. */
TF_MUST_CHECK int tf_repair_unit(struct tf_agent *agent, uint32_t unit);

/* At boot: finish a repair that power loss interrupted. */
TF_MUST_CHECK int tf_repair_resume(struct tf_agent *agent);

#endif
