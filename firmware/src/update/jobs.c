/* SPDX-License-Identifier: Apache-2.0 */
#include "update/jobs.h"

#include "update/staging.h"
#include "update/trial.h"

static int do_nothing(struct tf_agent *agent)
{
    (void)agent;
    return TF_OK;
}

static int do_reset(struct tf_agent *agent)
{
    agent->hal.reset(agent->hal.ctx);
    return TF_OK;
}

void tf_jobs_slice(struct tf_agent *agent)
{
    static int (*const jobs[])(struct tf_agent *) = {
        [TF_JOB_NONE] = do_nothing,        [TF_JOB_DECODE] = tf_staging_decode, [TF_JOB_HASH] = tf_staging_hash,
        [TF_JOB_GOLDEN] = tf_trial_golden, [TF_JOB_WATCH] = tf_trial_watch,     [TF_JOB_RESET] = do_reset,
    };
    int error = jobs[agent->work.job](agent);
    if (error != TF_OK) {
        tf_state(agent)->error = (int8_t)error; /* that a report is due, the change of phase has noted */
    }
}
