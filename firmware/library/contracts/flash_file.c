/* SPDX-License-Identifier: Apache-2.0 */
#include "flash_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void require(int condition, const char *rule)
{
    if (!condition) {
        (void)fprintf(stderr, "flash: %s\n", rule);
        _exit(FLASH_FILE_BROKEN);
    }
}

void flash_file_open(struct flash_file *flash, size_t erase_bytes, size_t write_bytes)
{
    const char *name = getenv("FLASH");
    const int file = name != NULL ? open(name, O_RDWR | O_CLOEXEC) : -1;
    struct stat about;

    require(file >= 0 && fstat(file, &about) == 0, "FLASH names no file");
    flash->size = (size_t)about.st_size;
    flash->bytes = mmap(NULL, flash->size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    require(flash->bytes != MAP_FAILED, "the file can't be mapped");
    flash->erase_bytes = erase_bytes;
    flash->write_bytes = write_bytes;
}

/* True: the power fails in the middle of this operation. */
static int cut_now(struct flash_file *flash)
{
    const char *at = getenv("CUT");

    flash->operations++;
    return at != NULL && strtol(at, NULL, 10) == flash->operations;
}

static void check_range(const struct flash_file *flash, size_t offset, size_t length, size_t unit)
{
    require(offset <= flash->size && length <= flash->size - offset, "out of bounds");
    require(offset % unit == 0 && length % unit == 0, "not a whole unit");
}

void flash_file_write(struct flash_file *flash, size_t offset, const void *data, size_t length)
{
    const uint8_t *from = data;
    const size_t done = cut_now(flash) ? length / 2 : length;

    check_range(flash, offset, length, flash->write_bytes);
    for (size_t i = 0; i < length; i++) {
        require(flash->bytes[offset + i] == 0xFF, "written twice without an erase");
    }
    memcpy(flash->bytes + offset, from, done);
    if (done != length) {
        _exit(FLASH_FILE_CUT);
    }
}

void flash_file_erase(struct flash_file *flash, size_t offset, size_t length)
{
    const size_t done = cut_now(flash) ? length / 2 : length;

    check_range(flash, offset, length, flash->erase_bytes);
    memset(flash->bytes + offset, 0xFF, done);
    if (done != length) {
        _exit(FLASH_FILE_CUT);
    }
}

void flash_file_restart(const struct flash_file *flash)
{
    const char *at = getenv("CUT");
    char left[24];

    if (at != NULL) {
        (void)snprintf(left, sizeof left, "%ld", strtol(at, NULL, 10) - (long)flash->operations);
        (void)setenv("CUT", left, 1);
    }
}
