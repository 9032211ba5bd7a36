/* SPDX-License-Identifier: Apache-2.0 */
/* The network of one device, which its maker writes to flash behind the part of tinyfleet, as `tinyfleet pki device-settings`
 * makes it. */
#ifndef TINYFLEET_NETWORK_SETTINGS_H
#define TINYFLEET_NETWORK_SETTINGS_H

#include <stdint.h>

#define SETTINGS_MAGIC 0x574E4654u /* "TFNW" */

struct settings {
    uint32_t magic;
    uint8_t mac[6];
    uint8_t reserved[2];
    uint8_t address[4], netmask[4], router[4], broker[4];
    uint16_t port;
    uint16_t host_bytes, authority_bytes, certificate_bytes, key_bytes; /* of what follows, in this order; the host ends with a zero */
    uint8_t follows[];
};

#endif
