/* SPDX-License-Identifier: Apache-2.0 */
/* The four functions that a compiler may call on its own, which freestanding code must provide, and strlen.
 * Built with -fno-tree-loop-distribute-patterns; otherwise the loops would be compiled into calls to themselves. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    if (length > 0) {
        do {
            *t++ = *f++;
        } while (--length > 0);
    }
    return to;
}

void *memmove(void *to, const void *from, size_t length)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    if ((uintptr_t)to <= (uintptr_t)from) {
        return memcpy(to, from, length);
    }
    while (length-- > 0) {
        t[length] = f[length];
    }
    return to;
}

void *memset(void *to, int value, size_t length)
{
    uint8_t *t = to;

    while (length-- > 0) {
        *t++ = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *left, const void *right, size_t length)
{
    const uint8_t *l = left;
    const uint8_t *r = right;

    for (; length > 0; length--, l++, r++) {
        if (*l != *r) {
            return *l - *r;
        }
    }
    return 0;
}

size_t strlen(const char *text)
{
    size_t length = 0;

    while (text[length] != 0) {
        length++;
    }
    return length;
}
