/* SPDX-License-Identifier: Apache-2.0 */
/* Divides the flash of a device: provisioned region, journal, marks, scratch, samples, and what is left for the two slots. */
#include "tinyfleet.h"

#define JOURNAL_BYTES 8192u      /* of each sector: eight records, so that it is erased once in four updates */
#define BYTES_MAX (1u << 28)     /* so that no sum below overflows */
#define SMALLEST_BLOCK_BYTES 256u /* a transfer in smaller blocks has more marks than fit, and is refused */

static uint32_t round_up(uint32_t bytes, uint32_t unit)
{
    return (bytes + unit - 1u) & ~(unit - 1u);
}

static struct tf_region take(uint32_t *at, uint32_t bytes)
{
    const struct tf_region region = { *at, bytes, 0 };

    *at += bytes;
    return region;
}

static uint32_t marks_bytes(const struct tinyfleet_flash *flash)
{
    const uint32_t slot = flash->bytes / 2u;
    const uint32_t blocks = slot / SMALLEST_BLOCK_BYTES < TF_BLOCKS_MAX ? slot / SMALLEST_BLOCK_BYTES : TF_BLOCKS_MAX;

    return flash->write_bytes * (blocks + slot / flash->erase_bytes);
}

int tinyfleet_layout(const struct tinyfleet_flash *flash, struct tf_geometry *geometry)
{
    const uint32_t unit = flash->erase_bytes;
    const uint32_t provisioned = flash->provisioned_bytes != 0 ? flash->provisioned_bytes : flash->bytes / 8u;
    uint32_t at = 0;

    if (unit == 0 || (unit & (unit - 1u)) != 0 || flash->bytes > BYTES_MAX || provisioned > flash->bytes
        || flash->samples_bytes > flash->bytes) {
        return TF_ERR_GEOMETRY;
    }
    *geometry = (struct tf_geometry){ .erase_size = unit, .write_size = flash->write_bytes };
    geometry->provisioned = take(&at, round_up(provisioned, unit));
    geometry->journal[0] = take(&at, round_up(JOURNAL_BYTES, unit));
    geometry->journal[1] = take(&at, round_up(JOURNAL_BYTES, unit));
    geometry->marks = take(&at, round_up(marks_bytes(flash), unit));
    geometry->scratch = take(&at, unit);
    geometry->samples[0] = take(&at, round_up(flash->samples_bytes, unit));
    geometry->samples[1] = take(&at, round_up(flash->samples_bytes, unit));
    if (at >= flash->bytes) {
        return TF_ERR_GEOMETRY;
    }
    const uint32_t slot = (flash->bytes - at) / 2u & ~(unit - 1u);

    geometry->slot[0] = take(&at, slot);
    geometry->slot[1] = take(&at, slot);
    return slot == 0 ? TF_ERR_GEOMETRY : TF_OK;
}
