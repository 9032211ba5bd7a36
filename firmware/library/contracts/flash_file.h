/* SPDX-License-Identifier: Apache-2.0 */
/* Flash in a file, with its rules, for ports that run on Linux against declarations of an SDK. A write that breaks a rule ends
 * the process, and so does the power cut that the environment asks for: CUT=n tears the n-th write or erase. */
#ifndef CONTRACT_FLASH_FILE_H
#define CONTRACT_FLASH_FILE_H

#include <stddef.h>
#include <stdint.h>

#define FLASH_FILE_CUT 9     /* exit status: the power was cut */
#define FLASH_FILE_BROKEN 10 /* exit status: a rule of flash was broken */

struct flash_file {
    uint8_t *bytes;
    size_t size;
    size_t erase_bytes;
    size_t write_bytes;
    long operations;
};

/* Map the file that FLASH names. */
void flash_file_open(struct flash_file *flash, size_t erase_bytes, size_t write_bytes);
void flash_file_write(struct flash_file *flash, size_t offset, const void *data, size_t length);
void flash_file_erase(struct flash_file *flash, size_t offset, size_t length);
/* Before the process starts itself again: it continues to count. */
void flash_file_restart(const struct flash_file *flash);

#endif
