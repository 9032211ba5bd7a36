/* SPDX-License-Identifier: Apache-2.0 */
/* No C library is linked on the boards; this is the part of <string.h> that memory.c brings. */
#ifndef TINYFLEET_PORTS_BARE_STRING_H
#define TINYFLEET_PORTS_BARE_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int value, size_t length);
int memcmp(const void *left, const void *right, size_t length);
size_t strlen(const char *text);

#endif
