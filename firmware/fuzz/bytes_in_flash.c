/* SPDX-License-Identifier: Apache-2.0 */
#include "bytes_in_flash.h"

#include <string.h>

static int read_bytes(void *ctx, uint32_t offset, void *buffer, size_t length)
{
    const struct tf_view *bytes = ctx;
    FUZZ_HOLDS(offset <= bytes->size && length <= bytes->size - offset);
    memcpy(buffer, bytes->data + offset, length);
    return 0;
}

struct tf_hal bytes_in_flash(struct tf_view *bytes)
{
    return (struct tf_hal){.ctx = bytes, .flash_read = read_bytes};
}
