/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors that keep their values between inferences (docs/specs/pack.md, section 6.5). */
#include <string.h>

#include "engine/plan.h"

#define STATES_MAX 64

bool tf_check_states(const struct tf_net *net, uint32_t bytes)
{
    if (net->states != NULL && (bytes % sizeof *net->states != 0 || bytes == 0 || net->state_count > STATES_MAX)) {
        return false;
    }
    const struct tf_state_record *state = net->states;
    for (uint32_t left = net->state_count; left > 0; left--, state++) {
        if (state->zero != 0 || !tf_is_variable(net, state->tensor)) {
            return false;
        }
    }
    return true;
}

void tf_reset_states(const struct tf_net *net)
{
    const struct tf_state_record *state = net->states;
    for (uint32_t left = net->state_count; left > 0; left--, state++) {
        const struct tf_tensor *tensor = &net->tensors[state->tensor];
        memset(tf_output(net, tensor), state->fill, tf_elements(tensor));
    }
}
