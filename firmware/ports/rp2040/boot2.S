/* SPDX-License-Identifier: Apache-2.0 */
/* The first 256 bytes of flash. The chip's ROM copies them to RAM, and runs them if their last word is the CRC-32 of the others
 * (RP2040 Datasheet, 2.8.1.3.1). They let the processor read flash in place, and start the firmware behind them.
 *
 * Flash is read as the ROM leaves it after it has written: command 03h, which every chip knows, one bit at a time, at a
 * sixth of the system clock. */
    .syntax unified
    .cpu cortex-m0plus
    .thumb

    .equ SSI, 0x18000000
    .equ SSI_CTRLR0, 0x00
    .equ SSI_CTRLR1, 0x04
    .equ SSI_SSIENR, 0x08
    .equ SSI_BAUDR, 0x14
    .equ SSI_SPI_CTRLR0, 0xF4
    .equ SYSTEM_CLOCKS_PER_BIT, 6
    .equ WORDS_BY_A_COMMAND, 31 << 16 | 3 << 8      /* 32-bit frames; sends what is to be read, then reads */
    .equ READ_AT_24_BITS, 0x03 << 24 | 2 << 8 | 6 << 2 /* 8 bits of command, 24 of address */
    .equ VTOR, 0xE000ED08
    .equ VECTORS, 0x10000100

    .section .boot2, "ax"
    .global boot2
    .thumb_func
boot2:
    ldr r3, =SSI
    movs r1, #0
    str r1, [r3, #SSI_SSIENR]
    movs r1, #SYSTEM_CLOCKS_PER_BIT
    str r1, [r3, #SSI_BAUDR]
    ldr r1, =WORDS_BY_A_COMMAND
    str r1, [r3, #SSI_CTRLR0]
    ldr r1, =READ_AT_24_BITS
    ldr r0, =SSI + SSI_SPI_CTRLR0
    str r1, [r0]
    movs r1, #0                                     /* one word a command */
    str r1, [r3, #SSI_CTRLR1]
    movs r1, #1
    str r1, [r3, #SSI_SSIENR]
    ldr r0, =VECTORS
    ldr r1, =VTOR
    str r0, [r1]
    ldm r0, {r0, r1}
    msr msp, r0
    bx r1
    .pool

    .org 252
    .word 0x0B3BC751                                /* tests/firmware/test_rp2040.py computes it */
