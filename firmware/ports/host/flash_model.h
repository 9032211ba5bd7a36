/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of flash at its worst. It refuses to program what was not erased, and power can be cut before, during or after
 * any operation. Operations (programs and erases) are counted from 1. The one whose number is cut_at is cut, and control
 * leaves through `power` by longjmp: nothing of the caller survives power loss.
 */
#ifndef TINYFLEET_PORTS_HOST_FLASH_MODEL_H
#define TINYFLEET_PORTS_HOST_FLASH_MODEL_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flash_cut {
    FLASH_CUT_BEFORE = 0, /* the operation has not started */
    FLASH_CUT_TORN = 1,   /* part of it has happened, with random bits in between */
    FLASH_CUT_AFTER = 2,  /* all of it has happened, but the caller has not learned of it */
};

/* How flash that is worn out fails. */
enum flash_wear {
    FLASH_LOSES_BITS = 0, /* what is written reads differently */
    FLASH_KEEPS_BITS = 1, /* an erase is refused */
    FLASH_REFUSES = 2,    /* a write is refused */
    FLASH_UNREADABLE = 3, /* a read is refused, as by a controller whose error correction has given up */
};

struct flash_model {
    uint8_t *bytes;   /* `size` bytes, owned by the caller */
    uint8_t *written; /* per write unit, 1: programmed since the last erase, 2: unreadable. NULL: a unit that reads 0xFF is free */
    uint32_t size;
    uint32_t erase_size; /* powers of two */
    uint32_t write_size;
    uint32_t large_from; /* erase units from here on have the large size, as in flash with smaller first sectors */
    uint32_t large_size; /* 0: all units are equal */
    uint64_t operations; /* performed so far */
    uint64_t cut_at;     /* 0: never */
    enum flash_cut cut;
    uint32_t random;      /* state of the random generator for torn operations; not 0 */
    jmp_buf *power;       /* must be set when cut_at is */
    uint32_t violations;  /* unaligned, out of range, or programming without an erase: bugs of the caller */
    uint64_t bytes_programmed;
    uint64_t units_erased;
    uint32_t worn_offset; /* where it is worn out */
    uint32_t worn_bytes;  /* 0: nowhere */
    enum flash_wear wear;
};

/* Call after filling `bytes` from outside: every unit that is not 0xFF counts as written. */
void flash_model_scan(struct flash_model *flash);

/* Make this range count as written although it may read 0xFF. */
void flash_model_stain(struct flash_model *flash, uint32_t offset, size_t length);

/*
 * 0, or -1 with nothing changed and a violation counted. Like some real flash, the model also refuses to write a unit that
 * reads 0xFF because it was written as 0xFF or torn. That is not counted as a violation: the caller can't see it.
 */
int flash_model_read(struct flash_model *flash, uint32_t offset, void *buffer, size_t length);
int flash_model_write(struct flash_model *flash, uint32_t offset, const void *data, size_t length);
int flash_model_erase(struct flash_model *flash, uint32_t offset, size_t length);
/* NULL when the range is out of bounds. */
const uint8_t *flash_model_map(struct flash_model *flash, uint32_t offset, size_t length);

#endif
