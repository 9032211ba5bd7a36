/* SPDX-License-Identifier: Apache-2.0 */
/* The Ethernet controller of the MPS2 boards: frames in and out, without DMA. */
#ifndef TINYFLEET_LAN9118_H
#define TINYFLEET_LAN9118_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IRQ_ETHERNET 13u

/* Switch it on. False: there is none at its address. */
bool lan9118_start(const uint8_t mac[6]);

bool lan9118_has_frame(void);

/* Length of the frame that waits, without its checksum; 0: none. It must be read. */
size_t lan9118_waiting(void);
/* Read the frame that waits, length bytes of it, to a word-aligned buffer that has a whole number of words. NULL: drop it. */
void lan9118_read(uint32_t *words, size_t length);

void lan9118_send(const uint8_t *frame, size_t length);

/* Interrupt when a frame arrives; its handler calls lan9118_quiet(). */
void lan9118_listen(void);
void lan9118_quiet(void);

#endif
