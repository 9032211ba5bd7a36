/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_link.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "serial_answer.h"

#define KEEPALIVE_S 60
#define UPKEEP_EVERY_MS 5000u
#define FIRST_WAIT_MS 250u
#define LONGEST_WAIT_MS 30000u
/* few enough at once for a broker on a small gateway to keep up */
#define CONNECT_SPREAD_MS 1000u
#define QOS 1

const char *mqtt_broker_parse(struct mqtt_broker *broker, const char *where, bool tls)
{
    broker->host = strdup(where);
    broker->port = tls ? 8883 : 1883;
    if (broker->host == NULL) {
        return "out of memory";
    }
    char *colon = strrchr(broker->host, ':');

    if (colon != NULL) {
        char *end;
        const long port = strtol(colon + 1, &end, 10);

        if (*end != 0 || port < 1 || port > 65535) {
            return "expected HOST or HOST:PORT";
        }
        broker->port = (int)port;
        *colon = 0;
    }
    return NULL;
}

void mqtt_links_begin(void)
{
    mosquitto_lib_init();
}

void mqtt_links_end(void)
{
    mosquitto_lib_cleanup();
}

static void try_later(struct mqtt_link *link)
{
    link->connected = false;
    link->wait_ms = link->wait_ms * 2 > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : link->wait_ms * 2;
    loop_after(&link->upkeep, link->wait_ms);
}

/* After any call of the library: watch what it waits for. After an error the library closes its socket, which must be
 * noticed at once, before another link gets the same descriptor number. */
static void follow(struct mqtt_link *link)
{
    const int fd = mosquitto_socket(link->client);
    const uint32_t events = EPOLLIN | (mosquitto_want_write(link->client) ? (uint32_t)EPOLLOUT : 0u);

    if (fd < 0) {
        loop_forget(&link->watch);
        try_later(link);
    } else if (link->watch.fd == fd) {
        loop_change(&link->watch, events);
    } else {
        link->watch.fd = fd;
        loop_watch(&link->watch, events);
    }
}

static void ready(void *owner, uint32_t events)
{
    struct mqtt_link *link = owner;
    int result = MOSQ_ERR_SUCCESS; /* otherwise the library has closed its socket */

    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        result = mosquitto_loop_read(link->client, 1);
    }
    if (result == MOSQ_ERR_SUCCESS && (events & EPOLLOUT) != 0) {
        (void)mosquitto_loop_write(link->client, 1);
    }
    follow(link);
}

static void upkeep(void *owner)
{
    struct mqtt_link *link = owner;

    if (mosquitto_socket(link->client) >= 0) {
        loop_after(&link->upkeep, UPKEEP_EVERY_MS);
        (void)mosquitto_loop_misc(link->client);
    } else {
        loop_after(&link->upkeep, UPKEEP_EVERY_MS);
        (void)mosquitto_connect(link->client, link->broker->host, link->broker->port, KEEPALIVE_S);
    }
    follow(link);
}

static void publish(struct mqtt_link *link, const char *topic, const void *payload, size_t length, bool retain)
{
    /* a message that fails is lost, and the gateway asks again */
    (void)mosquitto_publish(link->client, NULL, topic, (int)length, payload, QOS, retain);
    follow(link);
}

static void send_message(struct vdev *device, const uint8_t *message, size_t length)
{
    struct mqtt_link *link = device->link;
    uint8_t changed[SERIAL_ANSWER_BYTES];

    if (link->connected && length <= sizeof changed) {
        memcpy(changed, message, length);
        faults_corrupt(&device->faults, changed, length);
        publish(link, link->topic_up, changed, length, false);
    }
}

static const struct vdev_link mqtt = { .send = send_message, .may_send_unsolicited = true };

static char *topic(const struct mqtt_link *link, const char *last)
{
    char *text = NULL;

    return asprintf(&text, "tinyfleet/%s/%s/%s", vdev_fleet(link->device), vdev_name(link->device), last) < 0 ? NULL : text;
}

static void on_connect(struct mosquitto *client, void *owner, int code)
{
    struct mqtt_link *link = owner;
    char *down = topic(link, "down");

    if (code != 0 || down == NULL) {
        free(down);
        return;
    }
    link->connected = true;
    link->wait_ms = FIRST_WAIT_MS;
    (void)mosquitto_subscribe(client, NULL, down, QOS);
    free(down);
    publish(link, link->topic_presence, "1", 1, true);
    vdev_report(link->device);
}

static void on_message(struct mosquitto *client, void *owner, const struct mosquitto_message *message)
{
    struct mqtt_link *link = owner;

    (void)client;
    if (message->payloadlen > 0) {
        faults_corrupt(&link->device->faults, message->payload, (size_t)message->payloadlen);
        vdev_receive(link->device, message->payload, (size_t)message->payloadlen, false, false);
    }
}

static int secure(struct mqtt_link *link)
{
    const struct mqtt_broker *broker = link->broker;
    char *certificate = NULL, *key = NULL;
    int result = MOSQ_ERR_NOMEM;

    if (broker->certificate_folder == NULL) {
        return mosquitto_tls_set(link->client, broker->ca_file, NULL, NULL, NULL, NULL);
    }
    if (asprintf(&certificate, "%s/%s.crt", broker->certificate_folder, vdev_name(link->device)) >= 0
        && asprintf(&key, "%s/%s.key", broker->certificate_folder, vdev_name(link->device)) >= 0) {
        result = mosquitto_tls_set(link->client, broker->ca_file, NULL, certificate, key, NULL);
    }
    free(certificate);
    free(key);
    return result;
}

static const char *set_up(struct mqtt_link *link)
{
    const struct mqtt_broker *broker = link->broker;

    mosquitto_connect_callback_set(link->client, on_connect);
    mosquitto_message_callback_set(link->client, on_message);
    (void)mosquitto_int_option(link->client, MOSQ_OPT_PROTOCOL_VERSION,
                               strcmp(broker->protocol, "5") == 0 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
    (void)mosquitto_int_option(link->client, MOSQ_OPT_TCP_NODELAY, 1);
    if (mosquitto_will_set(link->client, link->topic_presence, 1, "0", QOS, true) != MOSQ_ERR_SUCCESS) {
        return "libmosquitto refuses the will";
    }
    if (broker->user != NULL
        && mosquitto_username_pw_set(link->client, broker->user, broker->password) != MOSQ_ERR_SUCCESS) {
        return "libmosquitto refuses the user name";
    }
    if (broker->ca_file != NULL && secure(link) != MOSQ_ERR_SUCCESS) {
        return "can't read the certificate, key or CA file";
    }
    return NULL;
}

const char *mqtt_link_open(struct mqtt_link *link, const struct mqtt_broker *broker, struct vdev *device)
{
    static uint32_t opened;

    *link = (struct mqtt_link){ .broker = broker, .device = device, .wait_ms = FIRST_WAIT_MS / 2 };
    link->watch = (struct loop_watch){ .fd = -1, .ready = ready, .owner = link };
    link->upkeep = (struct loop_timer){ .fire = upkeep, .owner = link };
    link->topic_up = topic(link, "up");
    link->topic_presence = topic(link, "presence");
    link->client = mosquitto_new(vdev_name(device), !broker->persistent, link);
    device->kind = &mqtt;
    device->link = link;
    if (link->client == NULL || link->topic_up == NULL || link->topic_presence == NULL) {
        return "out of memory";
    }
    loop_after(&link->upkeep, 1u + opened++ % CONNECT_SPREAD_MS);
    return set_up(link);
}

void mqtt_link_close(struct mqtt_link *link)
{
    if (link->connected) {
        publish(link, link->topic_presence, "0", 1, true); /* a clean disconnect cancels the will, so publish it here */
    }
    loop_cancel(&link->upkeep);
    loop_forget(&link->watch);
    if (link->client != NULL) {
        (void)mosquitto_disconnect(link->client);
        mosquitto_destroy(link->client);
    }
    free(link->topic_up);
    free(link->topic_presence);
}
