/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of a virtual device to the broker (docs/specs/protocol.md, section 4), one for each device, as real ones have. */
#ifndef TINYFLEET_VDEV_MQTT_LINK_H
#define TINYFLEET_VDEV_MQTT_LINK_H

#include "device.h"

/* Which broker, and how to get in; what is NULL is not used. Lives as long as the links. */
struct mqtt_broker {
    char *host;
    int port;
    const char *ca_file;     /* TLS, and whom to trust */
    const char *certificate_folder; /* with <device>.crt and <device>.key */
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
    struct loop_timer upkeep; /* keepalive while connected, the next try otherwise */
    uint32_t wait_ms;         /* before the next try */
    char *topic_up;
    char *topic_presence;
    bool connected;
};

/* "host" or "host:port" into the broker. NULL, or what is wrong. */
const char *mqtt_broker_parse(struct mqtt_broker *broker, const char *where, bool tls);

/* Once, before and after all links. */
void mqtt_links_begin(void);
void mqtt_links_end(void);

/* Connects when the loop runs, and again whenever it is lost. NULL, or what is wrong. */
const char *mqtt_link_open(struct mqtt_link *link, const struct mqtt_broker *broker, struct vdev *device);
void mqtt_link_close(struct mqtt_link *link);

#endif
