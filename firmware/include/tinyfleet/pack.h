/* SPDX-License-Identifier: Apache-2.0 */
/* What all kinds of packs share: header, sections, parameter table, golden vectors (docs/specs/pack.md, sections 1, 3, 4). */
#ifndef TINYFLEET_PACK_H
#define TINYFLEET_PACK_H

#include "tinyfleet/engine.h"
#include "tinyfleet/little_endian.h"

enum tf_section_id {
    TF_SECTION_IO = 1,
    TF_SECTION_TENSORS = 2,
    TF_SECTION_PLAN = 3,
    TF_SECTION_WEIGHTS = 4,
    TF_SECTION_FOREST = 5,
    TF_SECTION_FEATURES = 6,
    TF_SECTION_PARAMETERS = 7,
    TF_SECTION_GOLDEN = 8,
    TF_SECTION_HEAD = 9,
    TF_SECTION_THRESHOLD = 10,
    TF_SECTION_LEARN = 11,
    TF_SECTION_STATE = 12,
};

struct tf_section {
    const uint8_t *data; /* NULL: the pack has no such section */
    uint32_t size;
};

/* One entry of the parameter table. */
struct tf_parameter_entry {
    uint32_t name; /* FNV-1a */
    int32_t preset;
    int32_t least;
    int32_t most;
};

/* Rules 1, 2, 3 and 18 of pack.md, section 9: TF_OK, TF_ERR_PACK or TF_ERR_ARENA. The functions below require this check. */
TF_MUST_CHECK int tf_pack_check(const struct tf_pack *pack, uint32_t arena_bytes);

TF_MUST_CHECK uint8_t tf_pack_kind(const struct tf_pack *pack);
TF_MUST_CHECK struct tf_section tf_pack_section(const struct tf_pack *pack, enum tf_section_id id);

/* TF_OK, or TF_NO_MORE past the last entry. */
TF_MUST_CHECK int tf_pack_parameter(const struct tf_pack *pack, uint32_t index, struct tf_parameter_entry *entry);

#define TF_GOLDEN_DIGESTS 0x8000u /* in the second u16 of the section GOLDEN */

/*
 * Is this the stage of a pipeline: a network whose golden vectors have digests? A port gives it no windows of a sensor. The
 * pack has been checked, or its section GOLDEN has at least four bytes.
 */
TF_MUST_CHECK bool tf_pack_is_stage(const struct tf_pack *pack);

/* The next number of the generator of golden inputs (pack.md, section 4). */
TF_MUST_CHECK uint32_t tf_golden_next(uint32_t *state);

#endif
