/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of the C library that third-party code calls, besides those of string.h. */
#ifndef TINYFLEET_NETWORK_STDLIB_H
#define TINYFLEET_NETWORK_STDLIB_H

#include <stddef.h>

_Noreturn void exit(int status);

#endif
