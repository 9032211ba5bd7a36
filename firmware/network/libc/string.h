/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TINYFLEET_NETWORK_STRING_H
#define TINYFLEET_NETWORK_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int value, size_t length);
int memcmp(const void *left, const void *right, size_t length);
size_t strlen(const char *text);
int strcmp(const char *left, const char *right);
int strncmp(const char *left, const char *right, size_t most);

#endif
