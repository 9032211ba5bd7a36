/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/check.h"

#define COUNTS_BYTES 4
#define DESCRIPTOR_BYTES 12 /* without dims */
#define ENDS_OF_A_SIDE_MAX 4
#define RANK_MAX 4
#define ELEMENTS_MAX (1u << 24)
#define GOLDEN_MAX 64

int tf_end_point_read(struct tf_section io, uint32_t *at, struct tf_end_point *end)
{
    const uint8_t *bytes = io.data + *at;
    if (io.size - *at < DESCRIPTOR_BYTES || bytes[0] < TF_INT8 || bytes[0] > TF_INT32 || bytes[1] < 1 || bytes[1] > RANK_MAX) {
        return TF_ERR_PACK;
    }
    const uint32_t dims_bytes = tf_pad4(2u * bytes[1]);
    if (io.size - *at - DESCRIPTOR_BYTES < dims_bytes) {
        return TF_ERR_PACK;
    }
    uint32_t elements = 1;
    *end = (struct tf_end_point){.type = bytes[0], .rank = bytes[1], .tensor = tf_load16(bytes + 2)};
    for (uint32_t i = 0; i < dims_bytes / 2; i++) {
        const uint16_t size = tf_load16(bytes + DESCRIPTOR_BYTES + 2 * i);
        if (i >= end->rank ? size != 0 : size == 0 || (uint64_t)elements * size >= ELEMENTS_MAX) {
            return TF_ERR_PACK;
        }
        if (i < end->rank) {
            end->dims[i] = size;
            elements *= size;
        }
    }
    end->bytes = elements << (end->type - TF_INT8);
    *at += DESCRIPTOR_BYTES + dims_bytes;
    return TF_OK;
}

int tf_ends_read(const struct tf_pack *pack, struct tf_ends *ends)
{
    const struct tf_section io = tf_pack_section(pack, TF_SECTION_IO);
    if (io.size < COUNTS_BYTES || tf_load16(io.data + 2) != 0 || io.data[0] < 1 || io.data[0] > ENDS_OF_A_SIDE_MAX ||
        io.data[1] < 1 || io.data[1] > ENDS_OF_A_SIDE_MAX) {
        return TF_ERR_PACK;
    }
    uint32_t at = COUNTS_BYTES;
    *ends = (struct tf_ends){.inputs = io.data[0], .count = (uint32_t)io.data[0] + io.data[1]};
    for (uint32_t i = 0; i < ends->count; i++) {
        struct tf_end_point end;
        if (tf_end_point_read(io, &at, &end) != TF_OK) {
            return TF_ERR_PACK;
        }
        if (i < ends->inputs) {
            ends->input_bytes += end.bytes;
            ends->padded_input_bytes += tf_pad4(end.bytes);
        } else {
            ends->padded_output_bytes += tf_pad4(end.bytes);
        }
    }
    return at == io.size ? TF_OK : TF_ERR_PACK;
}

/* Vector number index, or NULL where the section ends before it does; *end: where it ends in the section. */
static const uint8_t *find_golden(const struct tf_pack *pack, const struct tf_ends *ends, uint32_t index, uint32_t *end)
{
    const struct tf_section golden = tf_pack_section(pack, TF_SECTION_GOLDEN);
    uint32_t at = COUNTS_BYTES, begin = 0;
    for (uint32_t i = 0; i <= index; i++) {
        if (golden.size < at || golden.size - at < 4) {
            return NULL;
        }
        const uint32_t given = tf_load32(golden.data + at) == 0 ? ends->padded_input_bytes : 0;
        const uint32_t bytes = 4 + given + ends->padded_output_bytes;
        if (golden.size - at < bytes) {
            return NULL;
        }
        begin = at;
        at += bytes;
    }
    *end = at;
    return golden.data + begin;
}

int tf_golden_read(const struct tf_pack *pack, uint32_t index, struct tf_golden *vector)
{
    const struct tf_section golden = tf_pack_section(pack, TF_SECTION_GOLDEN);
    struct tf_ends ends;
    uint32_t end = 0;
    if (index >= tf_load16(golden.data)) {
        return TF_END;
    }
    if (tf_ends_read(pack, &ends) != TF_OK) {
        return TF_ERR_PACK;
    }
    const uint8_t *found = find_golden(pack, &ends, index, &end);
    if (found == NULL) {
        return TF_ERR_PACK;
    }
    *vector = (struct tf_golden){tf_load32(found), found + 4, golden.data + end - ends.padded_output_bytes};
    return TF_OK;
}

bool tf_check_golden(const struct tf_pack *pack, const struct tf_ends *ends)
{
    const struct tf_section golden = tf_pack_section(pack, TF_SECTION_GOLDEN);
    uint32_t end = 0;
    if (golden.size < COUNTS_BYTES || tf_load16(golden.data + 2) != 0) {
        return false;
    }
    const uint32_t count = tf_load16(golden.data);
    return count >= 1 && count <= GOLDEN_MAX && find_golden(pack, ends, count - 1, &end) != NULL && end == golden.size;
}
