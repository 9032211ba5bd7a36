/* SPDX-License-Identifier: Apache-2.0 */
/* A start: what the journal says, what then runs, and why (docs/specs/flash.md, section 4). */
#ifndef TF_BOOT_H
#define TF_BOOT_H

#include "tinyfleet/agent.h"

/* TF_ERR_GEOMETRY when the port's flash can't be used as the core does. */
TF_MUST_CHECK int tf_geometry_check(const struct tf_geometry *geometry);

/* Choose what runs, verify and open it. TF_OK as well when nothing can run. */
TF_MUST_CHECK int tf_boot_choose(struct tf_agent *agent);

/* Count this start, and end a trial that had too many. */
TF_MUST_CHECK int tf_boot_count(struct tf_agent *agent);

#endif
