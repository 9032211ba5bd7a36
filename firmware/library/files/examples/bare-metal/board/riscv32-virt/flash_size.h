/* SPDX-License-Identifier: Apache-2.0 */
/* The part of this board's flash (QEMU: a file) that belongs to tinyfleet. */
#define BOARD_FLASH_BYTES (4u * 1024u * 1024u)
#define BOARD_ERASE_BYTES (256u * 1024u)
#define BOARD_WRITE_BYTES 4u
