/* SPDX-License-Identifier: Apache-2.0 */
#include "store/geometry.h"

#include "tinyfleet/state.h"

#define ERASE_SIZE_MIN 64

static bool is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static bool fits(const struct tf_geometry *geometry, const struct tf_region *region, uint32_t least)
{
    return region->offset % geometry->erase_size == 0 && region->size % geometry->erase_size == 0 && region->size >= least;
}

int tf_geometry_check(const struct tf_geometry *geometry)
{
    if (!is_power_of_two(geometry->erase_size) || geometry->erase_size < ERASE_SIZE_MIN || !is_power_of_two(geometry->write_size) ||
        geometry->write_size > TF_WRITE_SIZE_MAX) {
        return TF_ERR_GEOMETRY;
    }
    const struct tf_region *slots = geometry->slot;
    bool good = fits(geometry, &geometry->journal[0], 2 * TF_RECORD_BYTES) && fits(geometry, &geometry->journal[1], 2 * TF_RECORD_BYTES) &&
                geometry->journal[0].size == geometry->journal[1].size && fits(geometry, &geometry->provisioned, 1) &&
                fits(geometry, &slots[0], 0) && fits(geometry, &slots[1], 0) && slots[0].size == slots[1].size;
    if (good && slots[0].size != 0) {
        good = fits(geometry, &geometry->scratch, geometry->erase_size) && fits(geometry, &geometry->marks, geometry->erase_size) &&
               slots[0].size / geometry->erase_size < UINT16_MAX;
    }
    for (size_t i = 0; i < 2; i++) {
        good = good && fits(geometry, &geometry->samples[i], 0) && geometry->samples[i].size != geometry->erase_size;
    }
    return good ? TF_OK : TF_ERR_GEOMETRY;
}
