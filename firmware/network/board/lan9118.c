/* SPDX-License-Identifier: Apache-2.0 */
#include "lan9118.h"

#include <string.h>

#include "registers.h"

#define AT(offset) REGISTER(0x40200000u + (offset))
#define RX_DATA AT(0x00u)
#define TX_DATA AT(0x20u)
#define RX_STATUS AT(0x40u)
#define IRQ_CONFIG AT(0x54u)
#define IRQ_CONFIG_ON (1u << 8 | 1u << 4 | 1u) /* enabled, active high, push-pull */
#define INT_STATUS AT(0x58u)
#define INT_ENABLE AT(0x5Cu)
#define INT_RX_STATUS (1u << 3)
#define BYTE_TEST AT(0x64u)
#define FIFO_INT AT(0x68u)
#define TX_CONFIG AT(0x70u)
#define TX_CONFIG_ON 2u
#define RX_FIFO AT(0x7Cu)
#define MAC_COMMAND AT(0xA4u)
#define MAC_COMMAND_BUSY (1u << 31)
#define MAC_DATA AT(0xA8u)
#define MAC_CONTROL 1u
#define MAC_CONTROL_ON (1u << 3 | 1u << 2)
#define MAC_ADDRESS_HIGH 2u
#define MAC_ADDRESS_LOW 3u
#define FIRST_AND_LAST (1u << 13 | 1u << 12)
#define CHECKSUM_BYTES 4u

static void write_mac(uint32_t index, uint32_t value)
{
    MAC_DATA = value;
    MAC_COMMAND = MAC_COMMAND_BUSY | index;
    while ((MAC_COMMAND & MAC_COMMAND_BUSY) != 0) {
    }
}

bool lan9118_start(const uint8_t mac[6])
{
    if (BYTE_TEST != 0x87654321u) {
        return false;
    }
    write_mac(MAC_ADDRESS_LOW, (uint32_t)mac[0] | (uint32_t)mac[1] << 8 | (uint32_t)mac[2] << 16 | (uint32_t)mac[3] << 24);
    write_mac(MAC_ADDRESS_HIGH, (uint32_t)mac[4] | (uint32_t)mac[5] << 8);
    write_mac(MAC_CONTROL, MAC_CONTROL_ON);
    TX_CONFIG = TX_CONFIG_ON;
    FIFO_INT = 0; /* as soon as one frame waits */
    IRQ_CONFIG = IRQ_CONFIG_ON; /* its line is active until this says which level is */
    NVIC_ENABLE = 1u << IRQ_ETHERNET;
    return true;
}

bool lan9118_has_frame(void)
{
    return (RX_FIFO >> 16 & 0xFFu) != 0;
}

size_t lan9118_waiting(void)
{
    if (!lan9118_has_frame()) {
        return 0;
    }
    const size_t length = RX_STATUS >> 16 & 0x3FFFu;

    return length > CHECKSUM_BYTES ? length - CHECKSUM_BYTES : 1;
}

void lan9118_read(uint32_t *words, size_t length)
{
    const size_t count = (length + CHECKSUM_BYTES + 3u) / 4u;

    for (size_t i = 0; i < count; i++) {
        const uint32_t word = RX_DATA;

        if (words != NULL && i < (length + 3u) / 4u) {
            words[i] = word;
        }
    }
}

void lan9118_send(const uint8_t *frame, size_t length)
{
    TX_DATA = FIRST_AND_LAST | (uint32_t)length;
    TX_DATA = (uint32_t)length;
    for (size_t i = 0; i < length; i += 4u) {
        uint32_t word = 0;

        memcpy(&word, frame + i, length - i < 4u ? length - i : 4u);
        TX_DATA = word;
    }
}

void lan9118_listen(void)
{
    INT_STATUS = INT_RX_STATUS;
    INT_ENABLE = INT_RX_STATUS;
}

void lan9118_quiet(void)
{
    INT_ENABLE = 0;
}
