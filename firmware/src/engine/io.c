/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/io.h"

#define COUNTS_BYTES 4
#define DESCRIPTOR_BYTES 12 /* without dimensions */
#define TENSORS_PER_SIDE_MAX 4
#define RANK_MAX 4
#define ELEMENTS_MAX (1u << 24)
#define GOLDEN_MAX 64
#define KIND_NETWORK 1
#define STEPS_MAX 64

int tf_io_tensor_read(struct tf_section section, uint32_t *at, struct tf_io_tensor *tensor)
{
    const uint8_t *bytes = section.data + *at;
    if (section.size - *at < DESCRIPTOR_BYTES || bytes[0] < TF_INT8 || bytes[0] > TF_INT32 || bytes[1] < 1 || bytes[1] > RANK_MAX) {
        return TF_ERR_PACK;
    }
    const uint32_t dims_bytes = tf_pad4(2u * bytes[1]);
    if (section.size - *at - DESCRIPTOR_BYTES < dims_bytes) {
        return TF_ERR_PACK;
    }
    uint32_t elements = 1;
    *tensor = (struct tf_io_tensor){.type = bytes[0], .rank = bytes[1], .tensor = tf_load16(bytes + 2)};
    for (uint32_t i = 0; i < dims_bytes / 2; i++) {
        const uint16_t size = tf_load16(bytes + DESCRIPTOR_BYTES + 2 * i);
        if (i >= tensor->rank ? size != 0 : size == 0 || (uint64_t)elements * size >= ELEMENTS_MAX) {
            return TF_ERR_PACK;
        }
        if (i < tensor->rank) {
            tensor->dims[i] = size;
            elements *= size;
        }
    }
    tensor->bytes = elements << (tensor->type - TF_INT8);
    *at += DESCRIPTOR_BYTES + dims_bytes;
    return TF_OK;
}

int tf_io_read(const struct tf_pack *pack, struct tf_io *io)
{
    const struct tf_section section = tf_pack_section(pack, TF_SECTION_IO);
    if (section.size < COUNTS_BYTES || tf_load16(section.data + 2) != 0 || section.data[0] < 1 || section.data[0] > TENSORS_PER_SIDE_MAX ||
        section.data[1] < 1 || section.data[1] > TENSORS_PER_SIDE_MAX) {
        return TF_ERR_PACK;
    }
    uint32_t at = COUNTS_BYTES;
    *io = (struct tf_io){.inputs = section.data[0], .count = (uint32_t)section.data[0] + section.data[1]};
    for (uint32_t i = 0; i < io->count; i++) {
        struct tf_io_tensor tensor;
        if (tf_io_tensor_read(section, &at, &tensor) != TF_OK) {
            return TF_ERR_PACK;
        }
        if (i < io->inputs) {
            io->input_bytes += tensor.bytes;
            io->padded_input_bytes += tf_pad4(tensor.bytes);
        } else {
            io->padded_output_bytes += tf_pad4(tensor.bytes);
        }
    }
    return at == section.size ? TF_OK : TF_ERR_PACK;
}

static uint32_t steps_of(struct tf_section golden)
{
    return (tf_load16(golden.data + 2) & (STEPS_MAX - 1u)) + 1u;
}

/* The bytes of a golden vector that say what to expect. */
static uint64_t wanted_bytes(const struct tf_pack *pack, const struct tf_io *io)
{
    return tf_pack_is_stage(pack) ? TF_GOLDEN_DIGEST_BYTES : (uint64_t)steps_of(tf_pack_section(pack, TF_SECTION_GOLDEN)) * io->padded_output_bytes;
}

/* Golden vector number index, or NULL when the section ends before it. *end: where the vector ends in the section. */
static const uint8_t *find_golden(const struct tf_pack *pack, const struct tf_io *io, uint32_t index, uint32_t *end)
{
    const struct tf_section golden = tf_pack_section(pack, TF_SECTION_GOLDEN);
    uint32_t at = COUNTS_BYTES, begin = 0;
    for (uint32_t i = 0; i <= index; i++) {
        if (golden.size < at || golden.size - at < 4) {
            return NULL;
        }
        const uint32_t given = tf_load32(golden.data + at) == 0 ? io->padded_input_bytes : 0;
        const uint64_t bytes = 4 + (uint64_t)steps_of(golden) * given + wanted_bytes(pack, io);
        if (golden.size - at < bytes) {
            return NULL;
        }
        begin = at;
        at += (uint32_t)bytes;
    }
    *end = at;
    return golden.data + begin;
}

int tf_golden_read(const struct tf_pack *pack, uint32_t index, struct tf_golden *vector)
{
    const struct tf_section golden = tf_pack_section(pack, TF_SECTION_GOLDEN);
    struct tf_io io;
    uint32_t end = 0;
    if (index >= tf_load16(golden.data)) {
        return TF_NO_MORE;
    }
    if (tf_io_read(pack, &io) != TF_OK) {
        return TF_ERR_PACK;
    }
    const uint8_t *found = find_golden(pack, &io, index, &end);
    if (found == NULL) {
        return TF_ERR_PACK;
    }
    *vector = (struct tf_golden){tf_load32(found), steps_of(golden), found + 4, golden.data + end - wanted_bytes(pack, &io)};
    return TF_OK;
}

/* Rule 21: further steps need state, and digests a network without state. */
static bool is_form(const struct tf_pack *pack, uint32_t form)
{
    if (tf_pack_section(pack, TF_SECTION_STATE).data != NULL) {
        return form < STEPS_MAX;
    }
    return form == 0 || (form == TF_GOLDEN_DIGESTS && tf_pack_kind(pack) == KIND_NETWORK);
}

bool tf_check_golden(const struct tf_pack *pack, const struct tf_io *io)
{
    const struct tf_section golden = tf_pack_section(pack, TF_SECTION_GOLDEN);
    uint32_t end = 0;
    if (golden.size < COUNTS_BYTES || !is_form(pack, tf_load16(golden.data + 2))) {
        return false;
    }
    const uint32_t count = tf_load16(golden.data);
    return count >= 1 && count <= GOLDEN_MAX && find_golden(pack, io, count - 1, &end) != NULL && end == golden.size;
}
