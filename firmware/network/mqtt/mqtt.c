/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt.h"

#include <string.h>

#define KEEPALIVE_S 60u
#define PING_AFTER_MS 30000u
#define SILENT_MS 90000u
#define OPEN_WITHIN_MS 20000u
#define FIRST_WAIT_MS 250u
#define LONGEST_WAIT_MS 30000u
#define SUBSCRIBE_ID 1u

enum packet {
    CONNECT = 0x10,
    CONNACK = 0x20,
    PUBLISH = 0x30,
    PUBACK = 0x40,
    SUBSCRIBE = 0x82,
    SUBACK = 0x90,
    PINGREQ = 0xC0,
    PINGRESP = 0xD0,
    DISCONNECT = 0xE0,
};
enum { QOS1 = 0x02, RETAIN = 0x01, FLAGS = 0x0F };

/* Packets are written with a length of two bytes, which MQTT allows for any length that fits. */
enum { HEAD_BYTES = 3 };

static bool begin(struct mqtt *mqtt, uint8_t type)
{
    if (mqtt->out_bytes != 0) {
        return false;
    }
    mqtt->out[0] = type;
    mqtt->out_bytes = HEAD_BYTES;
    mqtt->out_sent = 0;
    return true;
}

static void put(struct mqtt *mqtt, const void *bytes, size_t length)
{
    if (length <= MQTT_PACKET_BYTES - mqtt->out_bytes) {
        memcpy(mqtt->out + mqtt->out_bytes, bytes, length);
        mqtt->out_bytes += length;
    }
}

static void put16(struct mqtt *mqtt, uint16_t value)
{
    const uint8_t bytes[] = { (uint8_t)(value >> 8), (uint8_t)value };

    put(mqtt, bytes, sizeof bytes);
}

static void put_text(struct mqtt *mqtt, const char *text)
{
    const size_t length = strlen(text);

    put16(mqtt, (uint16_t)length);
    put(mqtt, text, length);
}

static void finish(struct mqtt *mqtt)
{
    const size_t length = mqtt->out_bytes - HEAD_BYTES;

    mqtt->out[1] = (uint8_t)(length % 128u | 0x80u);
    mqtt->out[2] = (uint8_t)(length / 128u);
}

static void send_connect(struct mqtt *mqtt)
{
    static const uint8_t head[] = { 0, 4, 'M', 'Q', 'T', 'T', 4, 0x2E, 0, KEEPALIVE_S }; /* clean, will of QoS 1, retained */

    mqtt->out_bytes = 0;
    (void)begin(mqtt, CONNECT);
    put(mqtt, head, sizeof head);
    put_text(mqtt, mqtt->client_id);
    put_text(mqtt, mqtt->presence);
    put_text(mqtt, "0");
    finish(mqtt);
}

static void send_subscribe(struct mqtt *mqtt)
{
    (void)begin(mqtt, SUBSCRIBE);
    put16(mqtt, SUBSCRIBE_ID);
    put_text(mqtt, mqtt->subscribe);
    put(mqtt, "\1", 1);
    finish(mqtt);
}

static bool send_short(struct mqtt *mqtt, uint8_t type)
{
    if (!begin(mqtt, type)) {
        return false;
    }
    finish(mqtt);
    return true;
}

static void fail(struct mqtt *mqtt, uint32_t now_ms)
{
    mqtt->socket.close(mqtt->socket.ctx);
    mqtt->state = MQTT_WAITING;
    mqtt->since_ms = now_ms;
    mqtt->wait_ms = mqtt->wait_ms * 2u > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : mqtt->wait_ms * 2u;
}

static void go(struct mqtt *mqtt, enum mqtt_state state, uint32_t now_ms)
{
    mqtt->state = state;
    mqtt->since_ms = now_ms;
}

/* Send what waits. Negative: the socket has failed. */
static int flush(struct mqtt *mqtt, uint32_t now_ms)
{
    while (mqtt->out_sent < mqtt->out_bytes) {
        const int sent = mqtt->socket.send(mqtt->socket.ctx, mqtt->out + mqtt->out_sent, mqtt->out_bytes - mqtt->out_sent);

        if (sent <= 0) {
            return sent;
        }
        mqtt->out_sent += (size_t)sent;
        mqtt->sent_ms = now_ms;
    }
    mqtt->out_bytes = mqtt->out_sent = 0;
    return 0;
}

/* The length of the packet at the start of the buffer and of its head; 0: not complete; negative: too long for us. */
static int packet_bytes(const struct mqtt *mqtt, size_t *head)
{
    size_t length = 0;

    for (size_t i = 1, shift = 0; i < mqtt->in_bytes && i <= 4; i++, shift += 7) {
        length |= (size_t)(mqtt->in[i] & 0x7Fu) << shift;
        if (length > MQTT_PACKET_BYTES - i - 1) {
            return -1;
        }
        if ((mqtt->in[i] & 0x80u) == 0) {
            *head = i + 1;
            return mqtt->in_bytes >= *head + length ? (int)(*head + length) : 0;
        }
    }
    return mqtt->in_bytes > 4 ? -1 : 0;
}

/* A message. False: it can't be taken or acknowledged yet. */
static bool on_publish(struct mqtt *mqtt, const uint8_t *body, size_t length, bool acknowledge)
{
    const size_t topic = length < 2 ? length : (size_t)(body[0] << 8 | body[1]) + 2u;
    const size_t id_bytes = acknowledge ? 2 : 0;

    if (topic + id_bytes > length) {
        return true; /* malformed: dropped */
    }
    if (mqtt->out_bytes != 0 || !mqtt->arrived(mqtt->ctx, body + topic + id_bytes, length - topic - id_bytes)) {
        return false;
    }
    if (acknowledge) {
        (void)begin(mqtt, PUBACK);
        put(mqtt, body + topic, 2);
        finish(mqtt);
    }
    return true;
}

/* One complete packet. False: it has to wait. */
static bool on_packet(struct mqtt *mqtt, const uint8_t *body, size_t length, uint32_t now_ms)
{
    switch (mqtt->in[0] & ~FLAGS) {
    case CONNACK:
        if (mqtt->state != MQTT_CONNECTING || length != 2 || body[1] != 0) {
            fail(mqtt, now_ms);
            return false;
        }
        send_subscribe(mqtt);
        go(mqtt, MQTT_SUBSCRIBING, now_ms);
        return true;
    case SUBACK:
        if (length != 3 || body[2] > 2) {
            fail(mqtt, now_ms);
            return false;
        }
        if (!mqtt_publish(mqtt, mqtt->presence, (const uint8_t *)"1", 1, true)) {
            return false;
        }
        go(mqtt, MQTT_READY, now_ms);
        mqtt->wait_ms = FIRST_WAIT_MS;
        mqtt->ready(mqtt->ctx);
        return true;
    case PUBLISH:
        return on_publish(mqtt, body, length, (mqtt->in[0] & QOS1) != 0);
    default:
        return true; /* PUBACK of what we sent, PINGRESP */
    }
}

/* Read what has arrived, and handle one packet. True: one was handled. */
static bool receive(struct mqtt *mqtt, uint32_t now_ms)
{
    size_t head = 0;
    int packet = packet_bytes(mqtt, &head);

    if (packet == 0) {
        const int got = mqtt->socket.receive(mqtt->socket.ctx, mqtt->in + mqtt->in_bytes, MQTT_PACKET_BYTES - mqtt->in_bytes);

        if (got < 0) {
            fail(mqtt, now_ms);
            return false;
        }
        mqtt->heard_ms = got > 0 ? now_ms : mqtt->heard_ms;
        mqtt->in_bytes += (size_t)got;
        packet = packet_bytes(mqtt, &head);
    }
    if (packet < 0) {
        fail(mqtt, now_ms);
    }
    if (packet <= 0 || !on_packet(mqtt, mqtt->in + head, (size_t)packet - head, now_ms)) {
        return false;
    }
    mqtt->in_bytes -= (size_t)packet;
    memmove(mqtt->in, mqtt->in + packet, mqtt->in_bytes);
    return true;
}

static void connect(struct mqtt *mqtt, uint32_t now_ms)
{
    mqtt->in_bytes = mqtt->out_bytes = mqtt->out_sent = 0;
    if (mqtt->socket.open(mqtt->socket.ctx) < 0) {
        fail(mqtt, now_ms);
        return;
    }
    go(mqtt, MQTT_OPENING, now_ms);
}

static void await_open(struct mqtt *mqtt, uint32_t now_ms)
{
    const enum socket_state state = mqtt->socket.state(mqtt->socket.ctx);

    if (state == SOCKET_OPEN) {
        send_connect(mqtt);
        mqtt->heard_ms = now_ms;
        go(mqtt, MQTT_CONNECTING, now_ms);
    } else if (state == SOCKET_FAILED || now_ms - mqtt->since_ms > OPEN_WITHIN_MS) {
        fail(mqtt, now_ms);
    }
}

void mqtt_init(struct mqtt *mqtt)
{
    mqtt->state = MQTT_WAITING;
    mqtt->since_ms = 0;
    mqtt->wait_ms = FIRST_WAIT_MS / 2u;
    mqtt->next_id = SUBSCRIBE_ID;
}

bool mqtt_poll(struct mqtt *mqtt, uint32_t now_ms)
{
    bool more = false;

    if (mqtt->state == MQTT_WAITING) {
        if (now_ms - mqtt->since_ms >= mqtt->wait_ms) {
            connect(mqtt, now_ms);
        }
        return false;
    }
    if (mqtt->state == MQTT_OPENING) {
        await_open(mqtt, now_ms);
        return mqtt->state == MQTT_CONNECTING;
    }
    if (flush(mqtt, now_ms) < 0 || now_ms - mqtt->heard_ms > SILENT_MS) {
        fail(mqtt, now_ms);
        return false;
    }
    more = receive(mqtt, now_ms);
    if (mqtt->state == MQTT_READY && now_ms - mqtt->sent_ms > PING_AFTER_MS) {
        (void)send_short(mqtt, PINGREQ);
    }
    if (mqtt->state > MQTT_OPENING && flush(mqtt, now_ms) < 0) {
        fail(mqtt, now_ms);
        return false;
    }
    return more;
}

bool mqtt_publish(struct mqtt *mqtt, const char *topic, const uint8_t *message, size_t length, bool retain)
{
    if (mqtt->state < MQTT_SUBSCRIBING || !begin(mqtt, (uint8_t)(PUBLISH | QOS1 | (retain ? RETAIN : 0)))) {
        return false;
    }
    mqtt->next_id = mqtt->next_id == UINT16_MAX ? SUBSCRIBE_ID + 1u : (uint16_t)(mqtt->next_id + 1u);
    put_text(mqtt, topic);
    put16(mqtt, mqtt->next_id);
    put(mqtt, message, length);
    finish(mqtt);
    (void)flush(mqtt, mqtt->sent_ms);
    return true;
}

void mqtt_disconnect(struct mqtt *mqtt)
{
    if (mqtt->state > MQTT_OPENING) {
        (void)send_short(mqtt, DISCONNECT);
        (void)flush(mqtt, mqtt->sent_ms);
        mqtt->socket.close(mqtt->socket.ctx);
    }
    mqtt->state = MQTT_WAITING;
}
