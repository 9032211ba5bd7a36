/* SPDX-License-Identifier: Apache-2.0 */
/* What a broker sends to the MQTT client of firmware/network/mqtt, in pieces of any size, to a device that is sometimes busy. Each
 * message that it takes is within what has arrived, and is taken once. */
#include "fuzz.h"
#include "mqtt.h"

#define MS_BETWEEN_POLLS 100u

struct broker {
    const uint8_t *bytes;
    size_t size, at;
    struct mqtt mqtt;
    unsigned int sum, offered;
    size_t taken;
};

static int open(void *ctx)
{
    (void)ctx;
    return 0;
}

static enum socket_state state(void *ctx)
{
    (void)ctx;
    return SOCKET_OPEN;
}

static int send(void *ctx, const uint8_t *bytes, size_t length)
{
    struct broker *broker = ctx;

    broker->sum += bytes[length - 1];
    return (int)(length > 3 ? length / 2 : length);
}

static int receive(void *ctx, uint8_t *bytes, size_t capacity)
{
    struct broker *broker = ctx;
    const size_t left = broker->size - broker->at;
    size_t piece = left == 0 ? 0 : 1u + broker->bytes[broker->at] % 64u;

    if (left == 0) {
        return -1;
    }
    piece = piece < left ? piece : left;
    piece = piece < capacity ? piece : capacity;
    for (size_t i = 0; i < piece; i++) {
        bytes[i] = broker->bytes[broker->at++];
    }
    return (int)piece;
}

static void close(void *ctx)
{
    (void)ctx;
}

static bool arrived(void *ctx, const uint8_t *message, size_t length)
{
    struct broker *broker = ctx;

    FUZZ_HOLDS(length == 0 || (message >= broker->mqtt.in && message + length <= broker->mqtt.in + broker->mqtt.in_bytes));
    for (size_t i = 0; i < length; i++) {
        broker->sum += message[i];
    }
    if (++broker->offered % 3u == 0) {
        return false; /* busy */
    }
    broker->taken += length;
    FUZZ_HOLDS(broker->taken <= broker->at);
    return true;
}

static void ready(void *ctx)
{
    (void)ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct broker broker;
    uint32_t now_ms = 0;

    broker = (struct broker){ .bytes = data, .size = size };
    broker.mqtt.socket = (struct socket){ &broker, open, state, send, receive, close };
    broker.mqtt.ctx = &broker;
    broker.mqtt.client_id = "pump-1";
    broker.mqtt.subscribe = "tinyfleet/plant/pump-1/down";
    broker.mqtt.presence = "tinyfleet/plant/pump-1/presence";
    broker.mqtt.arrived = arrived;
    broker.mqtt.ready = ready;
    mqtt_init(&broker.mqtt);
    for (size_t polls = 0; polls < 8 * size + 16 && broker.at < size; polls++) {
        now_ms += MS_BETWEEN_POLLS;
        (void)mqtt_poll(&broker.mqtt, now_ms);
    }
    return 0;
}
