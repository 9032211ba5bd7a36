/* SPDX-License-Identifier: Apache-2.0 */
/* Checks and completes the flash layout that a port describes (hal.h). */
#ifndef TF_STORE_GEOMETRY_H
#define TF_STORE_GEOMETRY_H

#include "tinyfleet/error.h"
#include "tinyfleet/hal.h"

/* Give each region its erase size. TF_OK, or TF_ERR_GEOMETRY when the core can't use this layout. */
TF_MUST_CHECK int tf_geometry_complete(struct tf_geometry *geometry);

#endif
