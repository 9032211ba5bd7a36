/* SPDX-License-Identifier: Apache-2.0 */
/* A patch and its source. The first two bytes are the length of the source, which comes next. */
#include "bytes_in_flash.h"
#include "payload/patch.h"
#include "tinyfleet/sha256.h"

#define PRODUCED_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct tf_view flash = {data + 2, size - 2};
    const struct tf_hal hal = bytes_in_flash(&flash);
    const size_t wanted = (size_t)(data[0] | data[1] << 8);
    const uint32_t source_bytes = (uint32_t)(wanted < flash.size ? wanted : flash.size);
    struct tf_stream stream;
    struct tf_patch patch;
    struct tf_sha256 sha;
    uint8_t digest[32];
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, flash.data, source_bytes);
    tf_sha256_final(&sha, digest);
    const struct tf_base base = {0, source_bytes, digest};
    tf_stream_init(&stream, source_bytes, (uint32_t)flash.size - source_bytes);
    int byte = tf_patch_init(&patch, &stream, &hal, &base);
    for (int i = 0; i < PRODUCED_MAX && byte >= 0; i++) {
        byte = tf_patch_next(&patch, &stream, &hal);
        FUZZ_HOLDS(byte <= 255);
    }
    if (byte >= 0) {
        (void)(tf_patch_end(&patch, &stream, &hal) == TF_OK);
    }
    return 0;
}
