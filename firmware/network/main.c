/* SPDX-License-Identifier: Apache-2.0 */
/* A device that speaks MQTT over TLS itself, on the emulated MPS2 board: its agent is the library, its network lwIP and mbedTLS. */
#include <string.h>

#include "board.h"
#include "entropy.h"
#include "fault.h"
#include "flash_size.h"
#include "lan9118.h"
#include "lwip/init.h"
#include "lwip/timeouts.h"
#include "mbedtls/memory_buffer_alloc.h"
#include "mqtt.h"
#include "netif/ethernet.h"
#include "netif_lan9118.h"
#include "settings.h"
#include "tcp_socket.h"
#include "tinyfleet.h"
#include "tls_socket.h"

#define WATCHDOG_MS 8000u
#define WINDOW_MS 200u
#define FAREWELL_MS 20u
#define TOPIC_BYTES (2u * TF_NAME_MAX + 24u)
#define HEAP_BYTES 13500u /* of mbedTLS */
#define SETTINGS ((const struct settings *)(0x21000000u + BOARD_FLASH_BYTES))

int main(void);

static struct tinyfleet device;
static struct tinyfleet_inbox inbox;
static struct tcp_socket tcp;
static struct tls_socket tls;
static struct mqtt mqtt;
static struct netif netif;
static char topic_up[TOPIC_BYTES], topic_down[TOPIC_BYTES], topic_presence[TOPIC_BYTES];
static _Alignas(8) uint8_t model_arena[8u * 1024u];
static _Alignas(4) uint8_t window[4096];
static _Alignas(8) uint8_t tls_heap[HEAP_BYTES];

static int flash_write(void *ctx, uint32_t offset, const void *data, size_t length)
{
    (void)ctx;
    return board_flash_program(offset, data, length);
}

static int flash_erase(void *ctx, uint32_t offset, size_t length)
{
    (void)ctx;
    return board_flash_erase(offset, length);
}

static const uint8_t *flash_map(void *ctx, uint32_t offset, size_t length)
{
    (void)ctx;
    return board_flash_map(offset, length);
}

static uint32_t now_ms(void *ctx)
{
    static uint32_t ms, ticks;
    const uint32_t passed = (board_counter() - ticks) / board_ticks_per_ms;

    (void)ctx;
    ms += passed;
    ticks += passed * board_ticks_per_ms;
    return ms;
}

/* For lwIP. */
uint32_t sys_now(void)
{
    return now_ms(NULL);
}

static void pump(void)
{
    while (netif_lan9118_poll(&netif)) {
    }
    sys_check_timeouts();
}

static void restart(void *ctx)
{
    const uint32_t begun = now_ms(NULL);

    (void)ctx;
    mqtt_disconnect(&mqtt);
    while (now_ms(NULL) - begun < FAREWELL_MS) {
        pump(); /* so that the broker learns of it */
    }
    board_reset();
}

static void watchdog_kick(void *ctx)
{
    (void)ctx;
    board_watchdog(WATCHDOG_MS);
}

static int was_fault(void *ctx)
{
    (void)ctx;
    return fault_take_note();
}

static void send(void *ctx, const uint8_t *message, size_t length)
{
    (void)ctx;
    (void)mqtt_publish(&mqtt, topic_up, message, length, false); /* if it is lost, the gateway asks again */
}

static bool on_message(void *ctx, const uint8_t *message, size_t length)
{
    (void)ctx;
    return tinyfleet_post(&inbox, message, length);
}

static void on_ready(void *ctx)
{
    (void)ctx;
    tinyfleet_connected(&inbox);
}

static bool start_agent(void)
{
    const struct tinyfleet_port port = {
        .flash = { .bytes = BOARD_FLASH_BYTES, .erase_bytes = BOARD_ERASE_BYTES, .write_bytes = BOARD_WRITE_BYTES },
        .flash_write = flash_write,
        .flash_erase = flash_erase,
        .flash_map = flash_map,
        .now_ms = now_ms,
        .restart = restart,
        .watchdog_kick = watchdog_kick,
        .was_fault = was_fault,
        .send = send,
        .inbox = &inbox,
        .engines = tinyfleet_all_engines,
        .arena = model_arena,
        .arena_bytes = sizeof model_arena,
        .trial_inferences = 1,
    };

    return tinyfleet_init(&device, &port) >= 0 && tinyfleet_topic(&device, "up", topic_up, sizeof topic_up) > 0
           && tinyfleet_topic(&device, "down", topic_down, sizeof topic_down) > 0
           && tinyfleet_topic(&device, "presence", topic_presence, sizeof topic_presence) > 0;
}

static ip4_addr_t address(const uint8_t bytes[4])
{
    ip4_addr_t ip;

    IP4_ADDR(&ip, bytes[0], bytes[1], bytes[2], bytes[3]);
    return ip;
}

static bool start_network(const struct settings *settings)
{
    const ip4_addr_t own = address(settings->address), mask = address(settings->netmask), router = address(settings->router);
    const ip4_addr_t broker = address(settings->broker);

    lwip_init();
    if (settings->magic != SETTINGS_MAGIC || netif_add(&netif, &own, &mask, &router, (void *)(uintptr_t)settings->mac, netif_lan9118, ethernet_input) == NULL) {
        return false;
    }
    netif_set_default(&netif);
    netif_set_up(&netif);
    mbedtls_memory_buffer_alloc_init(tls_heap, sizeof tls_heap);
    const uint8_t *at = settings->follows;
    struct tls_identity identity = { .host = (const char *)at };

    at += settings->host_bytes;
    identity.authority = at;
    identity.authority_bytes = settings->authority_bytes;
    at += settings->authority_bytes;
    identity.certificate = at;
    identity.certificate_bytes = settings->certificate_bytes;
    at += settings->certificate_bytes;
    identity.key = at;
    identity.key_bytes = settings->key_bytes;
    if (tls_socket_init(&tls, tcp_socket(&tcp, &broker, settings->port), &identity, entropy_read) != 0) {
        return false;
    }
    mqtt.socket = tls_socket(&tls);
    mqtt.client_id = tf_agent_identity(&device.agent)->name;
    mqtt.subscribe = topic_down;
    mqtt.presence = topic_presence;
    mqtt.arrived = on_message;
    mqtt.ready = on_ready;
    mqtt_init(&mqtt);
    return true;
}

/* The board has no sensor: a sawtooth. */
static void watch(void)
{
    static uint32_t watched_ms;
    const size_t length = tinyfleet_input_bytes(&device);
    struct tf_verdict verdict;

    if (now_ms(NULL) - watched_ms < WINDOW_MS || length == 0 || length > sizeof window) {
        return;
    }
    watched_ms = now_ms(NULL);
    for (size_t i = 0; i < length; i++) {
        window[i] = (uint8_t)(i % 16u);
    }
    if (tinyfleet_infer(&device, window, length, &verdict) < 0) {
        return; /* the agent has counted the error */
    }
}

/* Until a frame arrives or the timer ticks. With interrupts masked, no frame can arrive unseen between the check and the sleep;
 * a pending interrupt still wakes the core. */
static void sleep(void)
{
    __asm__ volatile("cpsid i" ::: "memory");
    lan9118_listen();
    if (!lan9118_has_frame()) {
        __asm__ volatile("wfi" ::: "memory");
    }
    __asm__ volatile("cpsie i" ::: "memory");
}

int main(void)
{
    board_watchdog(WATCHDOG_MS);
    entropy_warn();
    const bool started = start_agent() && start_network(SETTINGS);

    for (;;) {
        bool work = false;

        board_watchdog(WATCHDOG_MS);
        if (started) {
            pump();
            work = mqtt_poll(&mqtt, now_ms(NULL));
            work = tinyfleet_poll(&device) || work;
            watch();
        }
        if (!work) {
            sleep();
        }
    }
}
