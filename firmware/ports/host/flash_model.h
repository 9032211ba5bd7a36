/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flash as it is on a bad day: it refuses to program what was not erased, and its power can be cut before, in the
 * middle of or after any operation. Operations (programs and erases) are counted from 1; the one whose number is
 * cut_at is cut, and control leaves through `power` by longjmp, as nothing of the caller survives.
 */
#ifndef TINYFLEET_PORTS_HOST_FLASH_MODEL_H
#define TINYFLEET_PORTS_HOST_FLASH_MODEL_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flash_cut {
    FLASH_CUT_BEFORE = 0, /* nothing of the operation has happened */
    FLASH_CUT_TORN = 1,   /* some of it has, with random bits in between */
    FLASH_CUT_AFTER = 2,  /* all of it has, but nobody has been told */
};

struct flash_model {
    uint8_t *bytes;   /* the caller's; `size` of them */
    uint8_t *written; /* one flag per write unit: programmed since the last erase. NULL: a unit that reads 0xFF is free */
    uint32_t size;
    uint32_t erase_size; /* powers of two */
    uint32_t write_size;
    uint64_t operations; /* so far */
    uint64_t cut_at;     /* 0: never */
    enum flash_cut cut;
    uint32_t random;      /* state of the generator behind torn operations; not 0 */
    jmp_buf *power;       /* must be set while cut_at is */
    uint32_t violations;  /* unaligned, out of range, or programming without an erase: bugs of whoever called */
    uint64_t bytes_programmed;
    uint64_t units_erased;
};

/* Call after `bytes` was filled from outside: what is not 0xFF counts as written. */
void flash_model_scan(struct flash_model *flash);

/* Have this range, which may read 0xFF, count as written. */
void flash_model_stain(struct flash_model *flash, uint32_t offset, size_t length);

/*
 * 0, or -1 with `violations` counted and nothing changed. A write of what was written to 0xFF, or torn and reads 0xFF, is
 * refused too, as some flash does, but not held against the caller, who can't see it.
 */
int flash_model_read(struct flash_model *flash, uint32_t offset, void *buffer, size_t length);
int flash_model_write(struct flash_model *flash, uint32_t offset, const void *data, size_t length);
int flash_model_erase(struct flash_model *flash, uint32_t offset, size_t length);
/* NULL for a range outside. */
const uint8_t *flash_model_map(struct flash_model *flash, uint32_t offset, size_t length);

#endif
