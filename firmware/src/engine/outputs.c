/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyfleet/engine_output.h"

#include <string.h>

#include "engine/features.h"
#include "engine/io.h"
#include "engine/plan.h"

#define KIND_FOREST 2

/* Copy an output that is not a tensor: the verdict, or for a forest its decision and its sums. */
static void copy_verdict(const struct tf_pack *pack, const struct tf_arena *arena, const struct tf_verdict *verdict, uint32_t bytes,
                         uint8_t *to)
{
    if (tf_pack_kind(pack) != KIND_FOREST) {
        memcpy(to, verdict, sizeof *verdict);
        return;
    }
    const struct tf_window_record *window = (const void *)tf_pack_section(pack, TF_SECTION_FEATURES).data;
    memcpy(to, &verdict->decision, 4);
    memcpy(to + 4, arena->data + 4u * window->features, bytes - 4);
}

int tf_engine_outputs(const struct tf_pack *pack, const struct tf_arena *arena, const struct tf_verdict *verdict, uint8_t *bytes,
                      uint32_t capacity)
{
    const struct tf_net net = tf_net_view(pack, arena->data);
    const struct tf_section io = tf_pack_section(pack, TF_SECTION_IO);
    uint32_t at = 4, used = 0;
    for (uint32_t i = 0; i < (uint32_t)io.data[0] + io.data[1]; i++) {
        struct tf_io_tensor end;
        if (tf_io_tensor_read(io, &at, &end) != TF_OK) {
            return TF_ERR_PACK;
        }
        if (i < io.data[0]) {
            continue;
        }
        if (end.bytes <= capacity - used && used <= capacity) {
            if (end.tensor == TF_NO_TENSOR) {
                copy_verdict(pack, arena, verdict, end.bytes, bytes + used);
            } else {
                memcpy(bytes + used, tf_input(&net, &net.tensors[end.tensor]), end.bytes);
            }
        }
        used += end.bytes;
    }
    return (int)used;
}
