/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyfleet.h"

#include <string.h>

#include "input_window.h"
#include "tinyfleet_port.h"

#define INDEX_OF(count) ((count) % TINYFLEET_INBOX_MESSAGES)

static void keep_samples(struct tinyfleet *device)
{
    if (device->port.recorder != NULL) {
        device->sampler.burst_tokens = TF_SAMPLE_BURST_TOKENS;
        device->sampler.token_ms = TF_SAMPLE_TOKEN_MS;
        tf_agent_keep_samples(&device->agent, device->port.recorder, &device->sampler);
    }
}

int tinyfleet_init(struct tinyfleet *device, const struct tinyfleet_port *port)
{
    memset(device, 0, sizeof *device);
    device->port = *port;
    struct tf_hal hal = tinyfleet_hal(&device->port);
    const struct tf_arena arena = { port->arena, port->arena_bytes };
    size_t engines = 0;
    int result = tinyfleet_layout(&port->flash, &hal.geometry);

    while (port->engines[engines] != NULL) {
        engines++;
    }
    if (result == TF_OK) {
        result = tf_agent_init(&device->agent, &hal, port->engines, engines, arena);
    }
    if (result == TF_OK) {
        keep_samples(device);
        result = tf_agent_boot(&device->agent);
    }
    return result;
}

static void send(struct tinyfleet *device, int length)
{
    if (length > 0 && device->port.send != NULL) {
        device->port.send(device->port.ctx, device->answer, (size_t)length);
    }
}

/* Handle the oldest message that waits. True: another one does. */
static bool handle_next(struct tinyfleet *device, struct tinyfleet_inbox *inbox)
{
    const uint32_t tail = inbox->tail;
    const uint32_t waiting = __atomic_load_n(&inbox->head, __ATOMIC_ACQUIRE) - tail;

    if (waiting == 0) {
        return false;
    }
    const uint32_t index = INDEX_OF(tail);
    const int length = tf_agent_handle(&device->agent, inbox->messages[index], inbox->lengths[index], false, device->answer, sizeof device->answer);

    /* before the answer is sent: an MQTT client may hold a lock that sending needs while its task waits for this place */
    __atomic_store_n(&inbox->tail, tail + 1u, __ATOMIC_RELEASE);
    send(device, length);
    return waiting > 1;
}

bool tinyfleet_poll(struct tinyfleet *device)
{
    struct tinyfleet_inbox *inbox = device->port.inbox;
    const bool work = inbox != NULL && handle_next(device, inbox);
    const int polled = tf_agent_poll(&device->agent, device->port.now_ms(device->port.ctx));
    bool report_due = (polled & TF_POLL_REPORT) != 0;

    if (inbox != NULL && __atomic_load_n(&inbox->connected, __ATOMIC_ACQUIRE)) {
        __atomic_store_n(&inbox->connected, false, __ATOMIC_RELAXED);
        report_due = true;
    }
    if (report_due && device->port.send != NULL) {
        send(device, tf_agent_report(&device->agent, device->answer, sizeof device->answer));
    }
    return work || (polled & TF_POLL_WORK) != 0;
}

int tinyfleet_infer(struct tinyfleet *device, const void *window, size_t length, struct tf_verdict *verdict)
{
    return tf_agent_infer(&device->agent, window, length, verdict);
}

size_t tinyfleet_input_bytes(const struct tinyfleet *device)
{
    const struct input_window wanted = input_window_of(&device->agent);

    return (size_t)wanted.elements * wanted.element_bytes;
}

void tinyfleet_input_missing(struct tinyfleet *device)
{
    tf_agent_input_missing(&device->agent);
}

size_t tinyfleet_topic(const struct tinyfleet *device, const char *last, char *topic, size_t capacity)
{
    const struct tf_identity *identity = tf_agent_identity(&device->agent);
    const char *const parts[] = { "tinyfleet/", identity->fleet, "/", identity->name, "/", last };
    size_t length = 0;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const size_t bytes = strlen(parts[i]);

        if (bytes >= capacity - length) {
            return 0;
        }
        memcpy(topic + length, parts[i], bytes);
        length += bytes;
    }
    topic[length] = 0;
    return length;
}

bool tinyfleet_post(struct tinyfleet_inbox *inbox, const void *message, size_t length)
{
    const uint32_t head = inbox->head;

    if (length > TF_MESSAGE_MAX) {
        return true; /* not from a gateway: dropped */
    }
    if (head - __atomic_load_n(&inbox->tail, __ATOMIC_ACQUIRE) >= TINYFLEET_INBOX_MESSAGES) {
        return false;
    }
    memcpy(inbox->messages[INDEX_OF(head)], message, length);
    inbox->lengths[INDEX_OF(head)] = (uint16_t)length;
    __atomic_store_n(&inbox->head, head + 1u, __ATOMIC_RELEASE);
    return true;
}

void tinyfleet_connected(struct tinyfleet_inbox *inbox)
{
    __atomic_store_n(&inbox->connected, true, __ATOMIC_RELEASE);
}
