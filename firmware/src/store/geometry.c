/* SPDX-License-Identifier: Apache-2.0 */
#include "store/geometry.h"

#include "tinyfleet/state.h"

#define ERASE_SIZE_MIN 64

static bool is_power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* A region has the erase size of the geometry unless it states its own. */
static bool fits(const struct tf_geometry *geometry, struct tf_region *region, uint32_t least)
{
    if (region->erase_size == 0) {
        region->erase_size = geometry->erase_size;
    }
    const uint32_t unit = region->erase_size;
    return is_power_of_two(unit) && unit >= ERASE_SIZE_MIN && ((region->offset | region->size) & (unit - 1)) == 0 && region->size >= least;
}

int tf_geometry_complete(struct tf_geometry *geometry)
{
    if (!is_power_of_two(geometry->write_size) || geometry->write_size > TF_WRITE_SIZE_MAX) {
        return TF_ERR_GEOMETRY;
    }
    struct tf_region *slots = geometry->slot;
    bool good = fits(geometry, &geometry->journal[0], 2 * TF_RECORD_BYTES) && fits(geometry, &geometry->journal[1], 2 * TF_RECORD_BYTES) &&
                geometry->journal[0].size == geometry->journal[1].size && fits(geometry, &geometry->provisioned, 1) &&
                fits(geometry, &slots[0], 0) && fits(geometry, &slots[1], 0) && slots[0].size == slots[1].size &&
                slots[0].erase_size == slots[1].erase_size;
    if (good && slots[0].size != 0) {
        const uint32_t unit = slots[0].erase_size;
        good = fits(geometry, &geometry->scratch, unit) && geometry->scratch.erase_size <= unit && fits(geometry, &geometry->marks, 1) &&
               slots[0].size / unit < UINT16_MAX;
    }
    for (size_t i = 0; i < 2; i++) {
        good = good && fits(geometry, &geometry->samples[i], 0) && geometry->samples[i].size != geometry->samples[i].erase_size;
    }
    good = good && fits(geometry, &geometry->rows, 0) && fits(geometry, &geometry->forest, 0) &&
           (geometry->rows.size == 0) == (geometry->forest.size == 0);
    return good && geometry->samples[0].erase_size == geometry->samples[1].erase_size ? TF_OK : TF_ERR_GEOMETRY;
}
