/* SPDX-License-Identifier: Apache-2.0 */
/* Staging: from the last block to a pack that is decoded, verified and ready for its trial. */
#ifndef TF_UPDATE_STAGING_H
#define TF_UPDATE_STAGING_H

#include "store/state.h"

/*
 * The message `stage` for the transfer of this name. TF_NEEDS_BLOCKS: blocks are missing, answer `have`. Otherwise the
 * result to answer. Starts a job; tf_jobs_slice() does the work.
 */
TF_MUST_CHECK int tf_staging_start(struct tf_agent *agent, uint8_t name);

/* One slice of TF_JOB_DECODE and of TF_JOB_HASH. */
TF_MUST_CHECK int tf_staging_decode(struct tf_agent *agent);
TF_MUST_CHECK int tf_staging_hash(struct tf_agent *agent);

#endif
