/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of the C library that lwIP and mbedTLS call, besides those that every board has (ports/bare/memory.c). */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int strncmp(const char *left, const char *right, size_t most)
{
    for (; most > 0; left++, right++, most--) {
        if (*left != *right || *left == 0) {
            return (uint8_t)*left - (uint8_t)*right;
        }
    }
    return 0;
}

int strcmp(const char *left, const char *right)
{
    return strncmp(left, right, SIZE_MAX);
}

/* Called when a heap is corrupted: a fault restarts the device. */
_Noreturn void exit(int status)
{
    (void)status;
    __builtin_trap();
}
