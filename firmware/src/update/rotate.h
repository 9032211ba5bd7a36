/* SPDX-License-Identifier: Apache-2.0 */
/* Rotation of the root key (docs/specs/rotation.md). */
#ifndef TF_UPDATE_ROTATE_H
#define TF_UPDATE_ROTATE_H

#include "codec/bytes.h"
#include "tinyfleet/state.h"

/*
 * Verify a rotation with its delegation, which may be empty, and commit both. TF_OK, or why it was refused; then nothing has
 * changed.
 */
TF_MUST_CHECK int tf_rotate(struct tf_agent *agent, struct tf_view rotation, struct tf_view delegation);

#endif
