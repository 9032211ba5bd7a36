/* SPDX-License-Identifier: Apache-2.0 */
#include "input_window.h"

#include "tinyfleet/pack.h"

/* Offsets in the first descriptor of section IO, after the four bytes of counts. */
enum { AT_TYPE = 4, AT_RANK = 5, AT_DIMENSIONS = 16, HEAD_BYTES = 16 };

struct input_window input_window_of(const struct tf_agent *agent)
{
    struct input_window window = { .elements = 0, .element_bytes = 1, .channels = 1 };

    if (agent->running.engine == NULL) {
        return window;
    }
    const struct tf_section io = tf_pack_section(&agent->running.pack, TF_SECTION_IO);

    if (io.data == NULL || io.size < HEAD_BYTES + 2u * io.data[AT_RANK]) {
        return window;
    }
    window.elements = 1;
    window.element_bytes = (uint8_t)(1u << (io.data[AT_TYPE] - 1u));
    for (uint32_t i = 0; i < io.data[AT_RANK]; i++) {
        const uint16_t size = tf_load16(io.data + AT_DIMENSIONS + 2u * i);

        window.elements *= size;
        if (i > 0) {
            window.channels = (uint8_t)size;
        }
    }
    return window;
}
