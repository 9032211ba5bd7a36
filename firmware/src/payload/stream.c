/* SPDX-License-Identifier: Apache-2.0 */
#include "payload/stream.h"

#include "store/flash.h"

void tf_stream_init(struct tf_stream *stream, uint32_t offset, uint32_t length)
{
    stream->offset = offset;
    stream->left = length;
    stream->cached = 0;
    stream->at = 0;
}

int tf_stream_byte(struct tf_stream *stream, const struct tf_hal *hal)
{
    if (stream->at == stream->cached) {
        uint32_t n = stream->left < sizeof stream->cache ? stream->left : (uint32_t)sizeof stream->cache;
        if (n == 0) {
            return TF_ERR_STREAM;
        }
        if (tf_flash_read(hal, stream->offset, stream->cache, n) != TF_OK) {
            return TF_ERR_FLASH;
        }
        stream->offset += n;
        stream->left -= n;
        stream->cached = (uint8_t)n;
        stream->at = 0;
    }
    return stream->cache[stream->at++];
}
