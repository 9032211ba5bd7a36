/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyfleet/engine_span.h"

#include "engine/io.h"
#include "engine/plan.h"

uint8_t *tf_engine_span(const struct tf_pack *pack, const struct tf_arena *arena, struct tf_verdict *verdict, enum tf_side side,
                        uint32_t offset, uint32_t *left)
{
    const struct tf_net net = tf_net_view(pack, arena->data);
    const struct tf_section io = tf_pack_section(pack, TF_SECTION_IO);
    const uint32_t inputs = io.data[0], count = inputs + io.data[1];
    uint32_t at = 4;
    for (uint32_t i = 0; i < count; i++) {
        struct tf_io_tensor end;
        if (tf_io_tensor_read(io, &at, &end) != TF_OK) {
            return NULL;
        }
        if ((i < inputs) != (side == TF_INPUTS)) {
            continue;
        }
        if (offset < end.bytes) {
            *left = end.bytes - offset;
            return offset + (end.tensor == TF_NO_TENSOR ? (uint8_t *)verdict : (uint8_t *)tf_output(&net, &net.tensors[end.tensor]));
        }
        offset -= end.bytes;
    }
    return NULL;
}
