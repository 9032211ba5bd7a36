/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <string.h>

#include "lan9118.h"
#include "lwip/etharp.h"
#include "netif_lan9118.h"

#define FRAME_BYTES 1514u

static uint32_t frame[(FRAME_BYTES + 3u) / 4u];

static err_t send(struct netif *netif, struct pbuf *buffer)
{
    (void)netif;
    if (buffer->tot_len > FRAME_BYTES) {
        return ERR_BUF;
    }
    (void)pbuf_copy_partial(buffer, frame, buffer->tot_len, 0);
    lan9118_send((const uint8_t *)frame, buffer->tot_len);
    return ERR_OK;
}

err_t netif_lan9118(struct netif *netif)
{
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->output = etharp_output;
    netif->linkoutput = send;
    netif->mtu = 1500;
    netif->hwaddr_len = ETH_HWADDR_LEN;
    memcpy(netif->hwaddr, netif->state, ETH_HWADDR_LEN);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
    return lan9118_start(netif->state) ? ERR_OK : ERR_IF;
}

bool netif_lan9118_poll(struct netif *netif)
{
    const size_t length = lan9118_waiting();

    if (length == 0) {
        return false;
    }
    if (length > FRAME_BYTES) {
        lan9118_read(NULL, length);
        return true;
    }
    lan9118_read(frame, length);
    struct pbuf *buffer = pbuf_alloc(PBUF_RAW, (uint16_t)length, PBUF_POOL);

    if (buffer != NULL) { /* otherwise the frame is lost, and TCP sends it again */
        (void)pbuf_take(buffer, frame, (uint16_t)length);
        if (netif->input(buffer, netif) != ERR_OK) {
            (void)pbuf_free(buffer);
        }
    }
    return true;
}
