/* SPDX-License-Identifier: Apache-2.0 */
/* The connection of one virtual device to the broker (docs/specs/protocol.md, section 4); each device has its own. */
#ifndef TINYFLEET_VDEV_MQTT_LINK_H
#define TINYFLEET_VDEV_MQTT_LINK_H

#include "device.h"

/* Broker and credentials; NULL fields are not used. Must outlive the links. */
struct mqtt_broker {
    char *host;
    int port;
    const char *ca_file;     /* trusted CA; enables TLS */
    const char *certificate_folder; /* contains <device>.crt and <device>.key */
    const char *user;
    const char *password;
    const char *protocol;    /* "3.1.1" or "5" */
    bool persistent;         /* keep the session while disconnected */
};

struct mqtt_link {
    struct mosquitto *client;
    const struct mqtt_broker *broker;
    struct vdev *device;
    struct loop_watch watch;
    struct loop_timer upkeep; /* keepalive while connected, otherwise the next attempt */
    uint32_t wait_ms;         /* before the next attempt */
    char *topic_up;
    char *topic_presence;
    bool connected;
};

/* Parse "host" or "host:port". NULL, or an error message. */
const char *mqtt_broker_parse(struct mqtt_broker *broker, const char *where, bool tls);

/* Call once, before and after all links. */
void mqtt_links_begin(void);
void mqtt_links_end(void);

/* Connects when the loop runs, and reconnects after a loss. NULL, or an error message. */
const char *mqtt_link_open(struct mqtt_link *link, const struct mqtt_broker *broker, struct vdev *device);
void mqtt_link_close(struct mqtt_link *link);

#endif
