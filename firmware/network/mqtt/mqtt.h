/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of MQTT 3.1.1 for a device: it subscribes to one topic, publishes on others, and has a retained last will. It reads a
 * message only when the one before was taken, and acknowledges it only then, so nothing is lost between the broker and the
 * device that reads slowly. It reconnects on its own.
 */
#ifndef TINYFLEET_MQTT_H
#define TINYFLEET_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "socket.h"

/* Largest packet in either direction: a message of the agent, its topic, and the headers. */
#define MQTT_PACKET_BYTES 1400

enum mqtt_state { MQTT_WAITING, MQTT_OPENING, MQTT_CONNECTING, MQTT_SUBSCRIBING, MQTT_READY };

struct mqtt {
    /* The caller's. */
    struct socket socket;
    void *ctx;
    const char *client_id, *subscribe, *presence;
    /* A message has arrived. False: no place for it yet; it is offered again at the next poll. */
    bool (*arrived)(void *ctx, const uint8_t *message, size_t length);
    /* Subscribed. */
    void (*ready)(void *ctx);
    /* The client's. */
    enum mqtt_state state;
    uint32_t since_ms, wait_ms, sent_ms, heard_ms;
    uint16_t next_id;
    uint8_t in[MQTT_PACKET_BYTES];
    size_t in_bytes;
    uint8_t out[MQTT_PACKET_BYTES];
    size_t out_bytes, out_sent;
};

void mqtt_init(struct mqtt *mqtt);

/* Make progress. True: there may be more to do at once. */
bool mqtt_poll(struct mqtt *mqtt, uint32_t now_ms);

/* Publish with QoS 1. False: not connected, or the last packet is still being sent. */
bool mqtt_publish(struct mqtt *mqtt, const char *topic, const uint8_t *message, size_t length, bool retain);

/* Say goodbye: the last will is not published. */
void mqtt_disconnect(struct mqtt *mqtt);

#endif
