/* SPDX-License-Identifier: Apache-2.0 */
#include "flash_model.h"

#include <string.h>

#define ERASED 0xFFu

/* Values of flash_model.written. */
#define FREE 0
#define WRITTEN 1
#define UNREADABLE 2

static uint32_t next_random(struct flash_model *flash)
{
    uint32_t s = flash->random;

    s ^= s << 13;
    s ^= s >> 17;
    s ^= s << 5;
    flash->random = s;
    return s;
}

static bool inside(const struct flash_model *flash, uint32_t offset, size_t length)
{
    return offset <= flash->size && length <= flash->size - offset;
}

static bool aligned(uint32_t offset, size_t length, uint32_t unit)
{
    return offset % unit == 0 && length % unit == 0;
}

static uint32_t erase_size_at(const struct flash_model *flash, uint32_t offset)
{
    return flash->large_size != 0 && offset >= flash->large_from ? flash->large_size : flash->erase_size;
}

static bool all_erased(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != ERASED) {
            return false;
        }
    }
    return true;
}

static bool writable(const struct flash_model *flash, uint32_t offset, size_t length)
{
    if (flash->written == NULL) {
        return all_erased(flash->bytes + offset, length);
    }
    for (size_t unit = offset / flash->write_size; unit < (offset + length) / flash->write_size; unit++) {
        if (flash->written[unit] != FREE) {
            return false;
        }
    }
    return true;
}

static bool readable(const struct flash_model *flash, uint32_t offset, size_t length)
{
    for (size_t unit = offset / flash->write_size; flash->written != NULL && unit * flash->write_size < offset + length; unit++) {
        if (flash->written[unit] == UNREADABLE) {
            return false;
        }
    }
    return true;
}

static void flag_written(struct flash_model *flash, uint32_t offset, size_t length, uint8_t flag)
{
    if (flash->written != NULL) {
        memset(flash->written + offset / flash->write_size, flag, length / flash->write_size);
    }
}

void flash_model_scan(struct flash_model *flash)
{
    if (flash->written == NULL) {
        return;
    }
    for (uint32_t offset = 0; offset < flash->size; offset += flash->write_size) {
        flash->written[offset / flash->write_size] = !all_erased(flash->bytes + offset, flash->write_size);
    }
}

void flash_model_stain(struct flash_model *flash, uint32_t offset, size_t length)
{
    flag_written(flash, offset, length, WRITTEN);
}

static bool is_worn(const struct flash_model *flash, enum flash_wear wear, uint32_t offset, size_t length)
{
    return flash->wear == wear && offset < flash->worn_offset + flash->worn_bytes && flash->worn_offset < offset + length;
}

static void program(struct flash_model *flash, uint32_t offset, const uint8_t *data, size_t length)
{
    memcpy(flash->bytes + offset, data, length);
    if (is_worn(flash, FLASH_LOSES_BITS, offset, length)) {
        flash->bytes[offset + length - 30] ^= 1; /* in the CRC of a snapshot, in the magic number of a tick */
    }
    flag_written(flash, offset, length, WRITTEN);
}

static void erase(struct flash_model *flash, uint32_t offset, size_t length)
{
    memset(flash->bytes + offset, ERASED, length);
    flag_written(flash, offset, length, FREE);
}

/*
 * A torn write: the units up to some point are written, one unit is anything between old and new, and the rest is
 * untouched. Now and then all units are anything, as when a controller programs several at once; or the torn unit has
 * only just begun to change: it reads erased, but refuses writes until it is erased; or its error correction refuses
 * to read it until then.
 */
static void tear_program(struct flash_model *flash, uint32_t offset, const uint8_t *data, size_t length)
{
    const uint32_t unit = flash->write_size;
    const size_t torn = next_random(flash) % (length / unit) * unit;
    const uint32_t style = next_random(flash) % 5;
    const bool everywhere = style == 0, begun = style == 1, unreadable = style == 2;
    const size_t begin = everywhere ? 0 : torn;
    const size_t end = everywhere ? length : torn + unit;

    program(flash, offset, data, begin);
    for (size_t i = begin; i < end && !begun; i++) {
        flash->bytes[offset + i] &= (uint8_t)(data[i] | (next_random(flash) >> 8));
    }
    for (size_t i = begin; i < end; i += unit) {
        flag_written(flash, (uint32_t)(offset + i), unit, begun || !all_erased(flash->bytes + offset + i, unit) ? WRITTEN : FREE);
    }
    for (size_t i = torn; i < torn + unit && unreadable; i++) {
        flash->bytes[offset + i] = (uint8_t)~data[i]; /* nothing is to be found here */
        flag_written(flash, (uint32_t)(offset + torn), unit, UNREADABLE);
    }
}

/* A torn erase: the torn unit may contain any bits, or be unreadable, and counts as not erased whatever it reads. */
static void tear_erase(struct flash_model *flash, uint32_t offset, size_t length)
{
    const uint32_t erase_size = erase_size_at(flash, offset);
    const size_t torn = next_random(flash) % (length / erase_size) * erase_size;
    const uint32_t style = next_random(flash) % 4;
    uint8_t *unit = flash->bytes + offset + torn;

    erase(flash, offset, torn);
    for (size_t i = 0; i < erase_size; i++) {
        const uint8_t noise = (uint8_t)(next_random(flash) >> 8);

        unit[i] = style == 0 ? (uint8_t)(unit[i] | noise) : style == 1 ? noise : (uint8_t)(noise | (noise >> 3) | 0xE0u);
    }
    flag_written(flash, (uint32_t)(offset + torn), erase_size, style == 2 ? UNREADABLE : WRITTEN);
}

/* Count an operation; true when it is the one to cut. */
static bool cut_now(struct flash_model *flash)
{
    flash->operations++;
    return flash->cut_at != 0 && flash->operations == flash->cut_at;
}

static _Noreturn void power_off(struct flash_model *flash)
{
    flash->cut_at = 0;
    longjmp(*flash->power, 1);
}

static int violation(struct flash_model *flash)
{
    flash->violations++;
    return -1;
}

int flash_model_read(struct flash_model *flash, uint32_t offset, void *buffer, size_t length)
{
    if (!inside(flash, offset, length)) {
        return violation(flash);
    }
    memcpy(buffer, flash->bytes + offset, length); /* also what can't be read: a driver notices after it has copied */
    return readable(flash, offset, length) && !is_worn(flash, FLASH_UNREADABLE, offset, length) ? 0 : -1;
}

int flash_model_write(struct flash_model *flash, uint32_t offset, const void *data, size_t length)
{
    if (length == 0 || !inside(flash, offset, length) || !aligned(offset, length, flash->write_size)) {
        return violation(flash);
    }
    if (is_worn(flash, FLASH_REFUSES, offset, length)) {
        return -1;
    }
    if (!writable(flash, offset, length)) {
        return all_erased(flash->bytes + offset, length) ? -1 : violation(flash);
    }
    const bool cut = cut_now(flash);

    if (cut && flash->cut == FLASH_CUT_TORN) {
        tear_program(flash, offset, data, length);
    } else if (!cut || flash->cut == FLASH_CUT_AFTER) {
        program(flash, offset, data, length);
        flash->bytes_programmed += length;
    }
    if (cut) {
        power_off(flash);
    }
    return 0;
}

int flash_model_erase(struct flash_model *flash, uint32_t offset, size_t length)
{
    const uint32_t erase_size = erase_size_at(flash, offset);

    if (length == 0 || !inside(flash, offset, length) || !aligned(offset, length, erase_size)
        || erase_size_at(flash, (uint32_t)(offset + length - 1)) != erase_size) {
        return violation(flash);
    }
    if (is_worn(flash, FLASH_KEEPS_BITS, offset, length)) {
        return -1;
    }
    const bool cut = cut_now(flash);

    if (cut && flash->cut == FLASH_CUT_TORN) {
        tear_erase(flash, offset, length);
    } else if (!cut || flash->cut == FLASH_CUT_AFTER) {
        erase(flash, offset, length);
        flash->units_erased += length / erase_size;
    }
    if (cut) {
        power_off(flash);
    }
    return 0;
}

const uint8_t *flash_model_map(struct flash_model *flash, uint32_t offset, size_t length)
{
    return inside(flash, offset, length) ? flash->bytes + offset : NULL;
}
