/* SPDX-License-Identifier: Apache-2.0 */
#include "payload/stream.h"

#include "store/flash.h"

void tf_source_init(struct tf_source *source, uint32_t offset, uint32_t length)
{
    source->offset = offset;
    source->left = length;
    source->cached = 0;
    source->at = 0;
}

int tf_source_byte(struct tf_source *source, const struct tf_hal *hal)
{
    if (source->at == source->cached) {
        uint32_t n = source->left < sizeof source->cache ? source->left : (uint32_t)sizeof source->cache;
        if (n == 0) {
            return TF_ERR_STREAM;
        }
        if (tf_flash_read(hal, source->offset, source->cache, n) != TF_OK) {
            return TF_ERR_FLASH;
        }
        source->offset += n;
        source->left -= n;
        source->cached = (uint8_t)n;
        source->at = 0;
    }
    return source->cache[source->at++];
}
