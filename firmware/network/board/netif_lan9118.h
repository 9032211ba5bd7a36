/* SPDX-License-Identifier: Apache-2.0 */
/* lwIP's network interface over the Ethernet controller. */
#ifndef TINYFLEET_NETIF_LAN9118_H
#define TINYFLEET_NETIF_LAN9118_H

#include "lwip/netif.h"

/* For netif_add(); its state is the MAC address. */
err_t netif_lan9118(struct netif *netif);

/* Pass on the frames that have arrived. True: there was one. */
bool netif_lan9118_poll(struct netif *netif);

#endif
