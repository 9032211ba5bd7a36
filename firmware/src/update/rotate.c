/* SPDX-License-Identifier: Apache-2.0 */
#include "update/rotate.h"

#include <string.h>

#include "envelope/delegation.h"
#include "store/journal.h"
#include "store/state.h"

int tf_rotate(struct tf_agent *agent, struct tf_view bytes, struct tf_view delegation)
{
    struct tf_state *state = tf_state(agent);
    struct tf_rotation rotation;
    int error = tf_rotation_verify(bytes, delegation, &agent->identity, state->rotation, &rotation);
    if (error != TF_OK) {
        return error;
    }
    state->rotation = rotation.number;
    state->delegation = rotation.delegation;
    memcpy(state->root, rotation.root, TF_KEY_BYTES);
    memcpy(agent->identity.root, rotation.root, TF_KEY_BYTES);
    return tf_journal_commit(&agent->journal, &agent->hal);
}
