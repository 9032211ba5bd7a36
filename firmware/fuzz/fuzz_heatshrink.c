/* SPDX-License-Identifier: Apache-2.0 */
/* A heatshrink stream, decoded to its end. Its output has a bounded length. */
#include "bytes_in_flash.h"
#include "payload/heatshrink.h"

/* A copy of 13 bits gives 16 bytes. */
#define BYTES_FROM_ONE_MAX 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tf_view payload = {data, size};
    const struct tf_hal hal = bytes_in_flash(&payload);
    struct tf_stream stream;
    struct tf_heatshrink decoder;
    size_t produced = 0;
    tf_stream_init(&stream, 0, (uint32_t)size);
    tf_heatshrink_init(&decoder);
    while (tf_heatshrink_next(&decoder, &stream, &hal) >= 0) {
        produced++;
    }
    FUZZ_HOLDS(produced <= BYTES_FROM_ONE_MAX * size);
    return 0;
}
