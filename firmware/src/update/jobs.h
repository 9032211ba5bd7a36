/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs of an update that take longer than a message may: each call does one slice of the current one. */
#ifndef TF_UPDATE_JOBS_H
#define TF_UPDATE_JOBS_H

#include "store/state.h"

/* Do one slice of agent->work.job. Errors of flash are recorded in the state, and the device carries on. */
void tf_jobs_slice(struct tf_agent *agent);

#endif
