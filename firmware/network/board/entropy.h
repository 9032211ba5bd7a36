/* SPDX-License-Identifier: Apache-2.0 */
/* Entropy for TLS. A real board reads its random number generator here. */
#ifndef TINYFLEET_ENTROPY_H
#define TINYFLEET_ENTROPY_H

#include <stddef.h>

/* Fill bytes; returns 0. */
int entropy_read(void *ctx, unsigned char *bytes, size_t length);

/* Write to the UART that the entropy of this board is not real. */
void entropy_warn(void);

#endif
