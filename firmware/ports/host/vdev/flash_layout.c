/* SPDX-License-Identifier: Apache-2.0 */
#include "flash_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tinyfleet/config.h"

#define PAGE_BYTES 4096u

static struct tf_region take(uint32_t *next, uint32_t bytes, uint32_t erase_bytes)
{
    const struct tf_region region = { *next, (bytes + erase_bytes - 1u) / erase_bytes * erase_bytes, 0 };

    *next += region.size;
    return region;
}

struct tf_geometry flash_layout(const struct flash_sizes *sizes)
{
    const uint32_t unit = sizes->erase_bytes;
    const uint32_t marks = (sizes->slot_bytes / unit + 1u + TF_BLOCKS_MAX) * sizes->write_bytes;
    struct tf_geometry geometry = { .erase_size = unit, .write_size = sizes->write_bytes };
    uint32_t next = 0;

    geometry.provisioned = take(&next, sizes->provisioned_bytes, unit);
    geometry.journal[0] = take(&next, sizes->journal_bytes, unit);
    geometry.journal[1] = take(&next, sizes->journal_bytes, unit);
    geometry.marks = take(&next, marks, unit);
    geometry.scratch = take(&next, unit, unit);
    geometry.slot[0] = take(&next, sizes->slot_bytes, unit);
    geometry.slot[1] = take(&next, sizes->slot_bytes, unit);
    for (size_t i = 0; sizes->samples_bytes != 0 && i < 2; i++) {
        geometry.samples[i] = take(&next, sizes->samples_bytes < 2 * unit ? 2 * unit : sizes->samples_bytes, unit);
    }
    if (sizes->learning_bytes != 0) {
        geometry.rows = take(&next, sizes->learning_bytes, unit);
        geometry.forest = take(&next, sizes->learning_bytes, unit);
    }
    return geometry;
}

uint32_t flash_layout_bytes(const struct tf_geometry *geometry)
{
    const struct tf_region *last = geometry->forest.size != 0       ? &geometry->forest
                                   : geometry->samples[1].size != 0 ? &geometry->samples[1]
                                                                    : &geometry->slot[1];

    return last->offset + last->size;
}

/* Erase everything. */
static int fill(int file, uint32_t bytes)
{
    uint8_t page[PAGE_BYTES];

    memset(page, 0xFF, sizeof page);
    for (uint32_t done = 0; done < bytes;) {
        const uint32_t part = bytes - done < sizeof page ? bytes - done : (uint32_t)sizeof page;
        const ssize_t written = pwrite(file, page, part, done);

        if (written <= 0) {
            return -1;
        }
        done += (uint32_t)written;
    }
    return 0;
}

static uint8_t *map(int file, uint32_t bytes, int sharing)
{
    void *flash = mmap(NULL, bytes, PROT_READ | PROT_WRITE, sharing, file, 0);

    return flash == MAP_FAILED ? NULL : flash;
}

/* Write to a temporary name first, so that an interrupted start leaves no incomplete device. */
static int make_file(const char *path, uint32_t bytes, const uint8_t *image, size_t image_bytes)
{
    char making[4096];
    const size_t length = strlen(path);

    if (length + sizeof ".new" > sizeof making) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(making, path, length);
    memcpy(making + length, ".new", sizeof ".new");
    const int file = open(making, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (file < 0) {
        return -1;
    }
    if (fill(file, bytes) != 0 || pwrite(file, image, image_bytes, 0) != (ssize_t)image_bytes || rename(making, path) != 0) {
        close(file);
        return -1;
    }
    return file;
}

uint8_t *flash_open_file(const char *path, uint32_t bytes, const uint8_t *image, size_t image_bytes)
{
    struct stat status;
    int file = open(path, O_RDWR | O_CLOEXEC);

    if (file < 0 && errno == ENOENT) {
        file = make_file(path, bytes, image, image_bytes);
    }
    if (file < 0) {
        return NULL;
    }
    uint8_t *flash = NULL;

    if (fstat(file, &status) == 0 && status.st_size == (off_t)bytes) {
        flash = map(file, bytes, MAP_SHARED);
    } else {
        errno = EFBIG; /* the file has another layout */
    }
    close(file);
    return flash;
}

/* The pages that all devices share: erased flash with the image of the first device. */
static int open_template(uint32_t bytes, const uint8_t *image, size_t image_bytes)
{
    static int template = -1;

    if (template < 0) {
        template = memfd_create("flash", MFD_CLOEXEC);
        if (template < 0 || fill(template, bytes) != 0
            || pwrite(template, image, image_bytes, 0) != (ssize_t)image_bytes) {
            return -1;
        }
    }
    return template;
}

uint8_t *flash_open_memory(uint32_t bytes, const uint8_t *image, size_t image_bytes)
{
    const int template = open_template(bytes, image, image_bytes);
    uint8_t *flash = template < 0 ? NULL : map(template, bytes, MAP_PRIVATE);

    for (size_t at = 0; flash != NULL && at < image_bytes; at += PAGE_BYTES) {
        const size_t part = image_bytes - at < PAGE_BYTES ? image_bytes - at : PAGE_BYTES;

        if (memcmp(flash + at, image + at, part) != 0) {
            memcpy(flash + at, image + at, part);
        }
    }
    return flash;
}
