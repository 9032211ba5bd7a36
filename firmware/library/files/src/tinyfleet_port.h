/* SPDX-License-Identifier: Apache-2.0 */
/* From what a firmware provides to what the agent asks for. */
#ifndef TINYFLEET_PORT_H
#define TINYFLEET_PORT_H

#include "tinyfleet.h"

/* Without the geometry. The port must stay where it is. */
struct tf_hal tinyfleet_hal(struct tinyfleet_port *port);

#endif
