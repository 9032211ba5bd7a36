/* SPDX-License-Identifier: Apache-2.0 */
/* A socket over lwIP's TCP. What arrives stays with lwIP until it is received, so a slow reader slows the sender down. */
#ifndef TINYFLEET_TCP_SOCKET_H
#define TINYFLEET_TCP_SOCKET_H

#include "lwip/ip_addr.h"
#include "lwip/tcp.h"
#include "socket.h"

struct tcp_socket {
    ip_addr_t address;
    uint16_t port;
    enum socket_state state;
    struct tcp_pcb *pcb;
    struct pbuf *arrived;
    uint16_t taken; /* bytes of the first buffer that were received */
};

struct socket tcp_socket(struct tcp_socket *tcp, const ip_addr_t *address, uint16_t port);

#endif
