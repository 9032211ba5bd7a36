/* SPDX-License-Identifier: Apache-2.0 */
#include "trial_faults.h"

#include <stdlib.h>

#include "engines.h"
#include "tinyfleet/pack.h"

#define ENGINES_MAX 8

static struct host_device *current;
static const struct faults *current_faults;

void trial_faults_select(struct host_device *host, const struct faults *faults)
{
    current = host;
    current_faults = faults;
}

static const struct tf_engine *real_engine(const struct tf_pack *pack)
{
    for (size_t i = 0; i < port_engine_count; i++) {
        if (port_engines[i]->kind == tf_pack_kind(pack)) {
            return port_engines[i];
        }
    }
    abort(); /* the agent picked one of our engines by this kind */
}

static int golden(const struct tf_pack *pack, const struct tf_arena *arena, uint32_t index)
{
    const bool on_trial = current->agent.journal.record.state.phase == TF_PHASE_TRIAL;

    if (on_trial && current_faults->golden) {
        return TF_ERR_GOLDEN;
    }
    if (on_trial && current_faults->crash) {
        current->was_fault = true;
        longjmp(current->power, 1);
    }
    return real_engine(pack)->golden(pack, arena, index);
}

void trial_faults_wrap(struct host_device *host)
{
    static struct tf_engine wrapped[ENGINES_MAX];
    static const struct tf_engine *list[ENGINES_MAX];

    for (size_t i = 0; i < port_engine_count && i < ENGINES_MAX; i++) {
        wrapped[i] = *port_engines[i];
        wrapped[i].golden = golden;
        list[i] = &wrapped[i];
    }
    host->engines = list;
    host->engine_count = port_engine_count < ENGINES_MAX ? port_engine_count : ENGINES_MAX;
}
