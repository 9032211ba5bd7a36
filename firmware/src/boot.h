/* SPDX-License-Identifier: Apache-2.0 */
/* What happens at a start: count it, then choose the model to run (docs/specs/flash.md, section 4). */
#ifndef TF_BOOT_H
#define TF_BOOT_H

#include "store/state.h"

/* Count this start, and end a trial that has had too many. The journal must be loaded. */
TF_MUST_CHECK int tf_boot_count(struct tf_agent *agent);

/* After tf_boot_count(): choose what runs, verify it and open it. TF_OK even when nothing can run. */
TF_MUST_CHECK int tf_boot_choose(struct tf_agent *agent);

#endif
