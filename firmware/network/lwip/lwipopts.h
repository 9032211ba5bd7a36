/* SPDX-License-Identifier: Apache-2.0 */
/* lwIP for one TCP connection of a device, without an operating system. */
#ifndef TINYFLEET_LWIPOPTS_H
#define TINYFLEET_LWIPOPTS_H

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_UDP 0
#define LWIP_RAW 0
#define LWIP_STATS 0
#define IP_REASSEMBLY 0
#define IP_FRAG 0
#define LWIP_NETIF_HOSTNAME 0
#define LWIP_NO_CTYPE_H 1
#define LWIP_NO_LIMITS_H 0

#define MEM_ALIGNMENT 4
#define MEM_SIZE 4096 /* copies of what is being sent */
#define MEMP_NUM_TCP_PCB 3 /* one is open, others wait for the last packet of a connection that has ended */
#define MEMP_NUM_TCP_PCB_LISTEN 1
#define MEMP_NUM_TCP_SEG 12
#define MEMP_NUM_PBUF 4
#define PBUF_POOL_SIZE 6 /* frames that have arrived; four are the window of the sender */
#define PBUF_POOL_BUFSIZE 1524

#define TCP_MSS 1460
#define TCP_WND (3 * TCP_MSS)
#define TCP_SND_BUF (2 * TCP_MSS)
#define TCP_SND_QUEUELEN 8
#define TCP_QUEUE_OOSEQ 0

#define LWIP_RAND() board_random()

unsigned int board_random(void);

#endif
