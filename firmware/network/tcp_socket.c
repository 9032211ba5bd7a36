/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp_socket.h"

#include <string.h>

static err_t on_connected(void *ctx, struct tcp_pcb *pcb, err_t error)
{
    struct tcp_socket *tcp = ctx;

    (void)pcb;
    tcp->state = error == ERR_OK ? SOCKET_OPEN : SOCKET_FAILED;
    return ERR_OK;
}

static err_t on_arrived(void *ctx, struct tcp_pcb *pcb, struct pbuf *buffer, err_t error)
{
    struct tcp_socket *tcp = ctx;

    (void)pcb;
    (void)error;
    if (buffer == NULL) {
        tcp->state = SOCKET_FAILED; /* closed by the other side; what has arrived can still be received */
    } else if (tcp->arrived == NULL) {
        tcp->arrived = buffer;
    } else {
        pbuf_cat(tcp->arrived, buffer);
    }
    return ERR_OK;
}

static void on_error(void *ctx, err_t error)
{
    struct tcp_socket *tcp = ctx;

    (void)error;
    tcp->pcb = NULL; /* lwIP has freed it */
    tcp->state = SOCKET_FAILED;
}

static int open(void *ctx)
{
    struct tcp_socket *tcp = ctx;

    tcp->state = SOCKET_OPENING;
    tcp->pcb = tcp_new();
    if (tcp->pcb == NULL) {
        return -1;
    }
    tcp_arg(tcp->pcb, tcp);
    tcp_recv(tcp->pcb, on_arrived);
    tcp_err(tcp->pcb, on_error);
    tcp_nagle_disable(tcp->pcb);
    return tcp_connect(tcp->pcb, &tcp->address, tcp->port, on_connected) == ERR_OK ? 0 : -1;
}

static enum socket_state state(void *ctx)
{
    const struct tcp_socket *tcp = ctx;

    return tcp->state;
}

static int send(void *ctx, const uint8_t *bytes, size_t length)
{
    struct tcp_socket *tcp = ctx;

    if (tcp->pcb == NULL || tcp->state == SOCKET_FAILED) {
        return -1;
    }
    const uint16_t space = tcp_sndbuf(tcp->pcb);
    const uint16_t now = length < space ? (uint16_t)length : space;

    if (now == 0 || tcp_write(tcp->pcb, bytes, now, TCP_WRITE_FLAG_COPY) != ERR_OK) {
        return 0;
    }
    (void)tcp_output(tcp->pcb);
    return now;
}

static int receive(void *ctx, uint8_t *bytes, size_t capacity)
{
    struct tcp_socket *tcp = ctx;
    size_t got = 0;

    while (got < capacity && tcp->arrived != NULL) {
        struct pbuf *first = tcp->arrived;
        const size_t here = (size_t)(first->len - tcp->taken);
        const size_t now = here < capacity - got ? here : capacity - got;

        memcpy(bytes + got, (const uint8_t *)first->payload + tcp->taken, now);
        got += now;
        tcp->taken = (uint16_t)(tcp->taken + now);
        if (tcp->taken == first->len) {
            tcp->arrived = first->next;
            tcp->taken = 0;
            if (first->next != NULL) {
                pbuf_ref(first->next);
            }
            (void)pbuf_free(first);
        }
    }
    if (got > 0 && tcp->pcb != NULL) {
        tcp_recved(tcp->pcb, (uint16_t)got);
    }
    return got == 0 && tcp->state == SOCKET_FAILED ? -1 : (int)got;
}

static void close(void *ctx)
{
    struct tcp_socket *tcp = ctx;

    if (tcp->arrived != NULL) {
        (void)pbuf_free(tcp->arrived);
        tcp->arrived = NULL;
        tcp->taken = 0;
    }
    if (tcp->pcb != NULL) {
        tcp_arg(tcp->pcb, NULL);
        tcp_recv(tcp->pcb, NULL);
        tcp_err(tcp->pcb, NULL);
        if (tcp_close(tcp->pcb) != ERR_OK) {
            tcp_abort(tcp->pcb);
        }
        tcp->pcb = NULL;
    }
    tcp->state = SOCKET_FAILED;
}

struct socket tcp_socket(struct tcp_socket *tcp, const ip_addr_t *address, uint16_t port)
{
    memset(tcp, 0, sizeof *tcp);
    tcp->address = *address;
    tcp->port = port;
    tcp->state = SOCKET_FAILED;
    return (struct socket){ tcp, open, state, send, receive, close };
}
