/* SPDX-License-Identifier: Apache-2.0 */
/* The flash of this board (QEMU: a file) that belongs to tinyfleet: all of it. */
#define BOARD_FLASH_BYTES (1024u * 1024u)
#define BOARD_ERASE_BYTES 4096u
#define BOARD_WRITE_BYTES 8u
