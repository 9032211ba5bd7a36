/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyfleet/pack.h"

#define MAGIC 0x4b504654u /* "TFPK" */
#define FORMAT_OLDEST 1
#define FORMAT 2
#define HEAD_BYTES 16
#define SECTIONS_MAX 16
#define ENTRY_BYTES 20 /* of the parameter table */
#define ENCODING_MAX 3
#define FRACTION_MAX 30
#define LENGTH(entry) ((entry) & 0xffffffu)

static uint32_t pad4(uint32_t length)
{
    return (length + 3) & ~3u;
}

uint8_t tf_pack_kind(const struct tf_pack *pack)
{
    return pack->data[5];
}

static uint32_t entry_of(const struct tf_pack *pack, uint32_t index)
{
    return tf_load32(pack->data + HEAD_BYTES + 4 * index);
}

struct tf_section tf_pack_section(const struct tf_pack *pack, enum tf_section_id id)
{
    struct tf_section none = {0};
    uint32_t count = pack->data[6];
    uint32_t at = HEAD_BYTES + 4 * count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t entry = entry_of(pack, i);
        if (entry >> 24 == (uint32_t)id) {
            return (struct tf_section){pack->data + at, LENGTH(entry)};
        }
        at += pad4(LENGTH(entry));
    }
    return none;
}

/* The sections follow each other, each padded with zeros, and fill the pack exactly. */
static int check_sections(const struct tf_pack *pack)
{
    uint32_t count = pack->data[6];
    if (count < 1 || count > SECTIONS_MAX || pack->size < HEAD_BYTES + 4 * count) {
        return TF_ERR_PACK;
    }
    uint32_t at = HEAD_BYTES + 4 * count;
    uint32_t last_id = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t entry = entry_of(pack, i);
        uint32_t length = LENGTH(entry);
        if (entry >> 24 <= last_id || pack->size - at < pad4(length)) {
            return TF_ERR_PACK;
        }
        for (uint32_t pad = length; pad < pad4(length); pad++) {
            if (pack->data[at + pad] != 0) {
                return TF_ERR_PACK;
            }
        }
        last_id = entry >> 24;
        at += pad4(length);
    }
    return at == pack->size ? TF_OK : TF_ERR_PACK;
}

/* The sections that each kind must have and may have (pack.md, section 1). Bit i stands for id i. */
static int check_kind(const struct tf_pack *pack)
{
    static const struct {
        uint32_t must;
        uint32_t may;
    } kinds[] = {
        {1 << TF_SECTION_IO | 1 << TF_SECTION_GOLDEN | 1 << TF_SECTION_THRESHOLD, 1 << TF_SECTION_PARAMETERS},
        {1 << TF_SECTION_IO | 1 << TF_SECTION_TENSORS | 1 << TF_SECTION_PLAN | 1 << TF_SECTION_WEIGHTS | 1 << TF_SECTION_GOLDEN,
         1 << TF_SECTION_PARAMETERS | 1 << TF_SECTION_HEAD | 1 << TF_SECTION_STATE},
        {1 << TF_SECTION_IO | 1 << TF_SECTION_FOREST | 1 << TF_SECTION_FEATURES | 1 << TF_SECTION_GOLDEN,
         1 << TF_SECTION_PARAMETERS | 1 << TF_SECTION_LEARN},
    };
    uint8_t kind = tf_pack_kind(pack);
    uint32_t found = 0;
    if (kind >= sizeof kinds / sizeof kinds[0]) {
        return TF_ERR_KIND;
    }
    for (uint32_t i = 0; i < pack->data[6]; i++) {
        uint32_t id = entry_of(pack, i) >> 24;
        if (id > TF_SECTION_STATE) {
            return TF_ERR_PACK;
        }
        found |= 1u << id;
    }
    return (found & kinds[kind].must) == kinds[kind].must && (found & ~(kinds[kind].must | kinds[kind].may)) == 0 ? TF_OK : TF_ERR_PACK;
}

int tf_pack_parameter(const struct tf_pack *pack, uint32_t index, struct tf_parameter_entry *entry)
{
    struct tf_section table = tf_pack_section(pack, TF_SECTION_PARAMETERS);
    if (index >= table.size / ENTRY_BYTES) {
        return TF_NO_MORE;
    }
    const uint8_t *bytes = table.data + ENTRY_BYTES * index;
    entry->name = tf_load32(bytes);
    entry->preset = (int32_t)tf_load32(bytes + 4);
    entry->least = (int32_t)tf_load32(bytes + 8);
    entry->most = (int32_t)tf_load32(bytes + 12);
    return TF_OK;
}

static int check_parameters(const struct tf_pack *pack)
{
    struct tf_section table = tf_pack_section(pack, TF_SECTION_PARAMETERS);
    struct tf_parameter_entry entry;
    if (table.size % ENTRY_BYTES != 0 || table.size / ENTRY_BYTES > TF_PARAMETER_TABLE_MAX) {
        return TF_ERR_PACK;
    }
    for (uint32_t i = 0; tf_pack_parameter(pack, i, &entry) == TF_OK; i++) {
        const uint8_t *bytes = table.data + ENTRY_BYTES * i;
        if (entry.least > entry.preset || entry.preset > entry.most || bytes[16] > ENCODING_MAX || bytes[17] > FRACTION_MAX ||
            tf_load16(bytes + 18) != 0) {
            return TF_ERR_PACK;
        }
    }
    return TF_OK;
}

int tf_pack_check(const struct tf_pack *pack, uint32_t arena_bytes)
{
    if (pack->size < HEAD_BYTES || tf_load32(pack->data) != MAGIC || pack->data[4] < FORMAT_OLDEST || pack->data[4] > FORMAT || pack->data[7] != 0 ||
        tf_load32(pack->data + 8) != pack->size || pack->size % 4 != 0) {
        return TF_ERR_PACK;
    }
    int error = check_sections(pack);
    if (error == TF_OK) {
        error = check_kind(pack);
    }
    if (error == TF_OK) {
        error = check_parameters(pack);
    }
    if (error == TF_OK && tf_load32(pack->data + 12) > arena_bytes) {
        error = TF_ERR_ARENA;
    }
    return error;
}

bool tf_pack_is_stage(const struct tf_pack *pack)
{
    return (tf_load16(tf_pack_section(pack, TF_SECTION_GOLDEN).data + 2) & TF_GOLDEN_DIGESTS) != 0;
}

uint32_t tf_golden_next(uint32_t *state)
{
    uint32_t s = *state;
    s ^= s << 13;
    s ^= s >> 17;
    s ^= s << 5;
    *state = s;
    return s;
}
