/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes on their way from the UART's interrupt to the main loop. When the ring is full, the interrupt handler leaves
 * bytes in the UART and masks itself (a real board would drop RTS); the main loop unmasks it after it has taken some. */
#ifndef TINYFLEET_PORTS_BARE_RECEIVE_RING_H
#define TINYFLEET_PORTS_BARE_RECEIVE_RING_H

#include <stdbool.h>
#include <stdint.h>

#define RECEIVE_RING_BYTES 256u

struct receive_ring {
    volatile uint16_t head; /* written by the interrupt handler only */
    volatile uint16_t tail; /* written by the main loop only */
    uint8_t bytes[RECEIVE_RING_BYTES];
};

extern struct receive_ring receive_ring;

static inline bool receive_ring_full(void)
{
    return (uint16_t)(receive_ring.head - receive_ring.tail) >= RECEIVE_RING_BYTES;
}

static inline bool receive_ring_empty(void)
{
    return receive_ring.head == receive_ring.tail;
}

static inline void receive_ring_put(uint8_t byte)
{
    const uint16_t head = receive_ring.head;

    receive_ring.bytes[head % RECEIVE_RING_BYTES] = byte;
    receive_ring.head = (uint16_t)(head + 1u);
}

static inline uint8_t receive_ring_take(void)
{
    const uint16_t tail = receive_ring.tail;
    const uint8_t byte = receive_ring.bytes[tail % RECEIVE_RING_BYTES];

    receive_ring.tail = (uint16_t)(tail + 1u);
    return byte;
}

/* Implemented by the board: unmask the interrupt handler. */
void board_uart_resume(void);

#endif
