/* SPDX-License-Identifier: Apache-2.0 */
#include "input_window.h"

#include "tinyfleet/pack.h"

/* Section IO: four bytes of counts, then a descriptor per input. */
enum { AT_INPUTS = 0, HEAD_BYTES = 4 };
/* Offsets in a descriptor. */
enum { AT_TYPE = 0, AT_RANK = 1, AT_DIMENSIONS = 12 };

static uint32_t descriptor_bytes(const uint8_t *descriptor)
{
    return AT_DIMENSIONS + (2u * descriptor[AT_RANK] + 3u) / 4u * 4u;
}

/* Elements of one input. With two or more dimensions, the last one is the number of channels. */
static uint32_t count_elements(const uint8_t *descriptor, uint16_t *channels)
{
    uint32_t elements = 1;

    for (uint32_t i = 0; i < descriptor[AT_RANK]; i++) {
        const uint16_t size = tf_load16(descriptor + AT_DIMENSIONS + 2u * i);

        elements *= size;
        if (i > 0) {
            *channels = size;
        }
    }
    return elements;
}

struct input_window input_window_of(const struct tf_agent *agent)
{
    struct input_window window = { .elements = 0, .element_bytes = 1, .channels = 1 };

    if (agent->running.engine == NULL || agent->running.is_stage) {
        return window;
    }
    /* the running pack has been checked, so its descriptors are within the section */
    const struct tf_section io = tf_pack_section(&agent->running.pack, TF_SECTION_IO);
    const uint8_t *descriptor = io.data + HEAD_BYTES;

    for (uint32_t i = 0; i < io.data[AT_INPUTS]; i++) {
        window.element_bytes = (uint8_t)(1u << (descriptor[AT_TYPE] - 1u));
        window.elements += count_elements(descriptor, &window.channels);
        descriptor += descriptor_bytes(descriptor);
    }
    return window;
}
