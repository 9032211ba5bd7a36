/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyfleet_port.h"

#include <string.h>

static int flash_read(void *ctx, uint32_t offset, void *buffer, size_t length)
{
    const struct tinyfleet_port *port = ctx;

    if (port->flash_read != NULL) {
        return port->flash_read(port->ctx, offset, buffer, length) < 0 ? TF_ERR_FLASH : TF_OK;
    }
    const uint8_t *from = port->flash_map(port->ctx, offset, length);

    if (from == NULL) {
        return TF_ERR_FLASH;
    }
    memcpy(buffer, from, length);
    return TF_OK;
}

/* Read back: flash that is worn out may report success. */
static int flash_write(void *ctx, uint32_t offset, const void *data, size_t length)
{
    const struct tinyfleet_port *port = ctx;
    const uint8_t *from = port->flash_map(port->ctx, offset, length);

    if (from == NULL || port->flash_write(port->ctx, offset, data, length) < 0) {
        return TF_ERR_FLASH;
    }
    return memcmp(from, data, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

static int flash_erase(void *ctx, uint32_t offset, size_t length)
{
    const struct tinyfleet_port *port = ctx;

    return port->flash_erase(port->ctx, offset, length) < 0 ? TF_ERR_FLASH : TF_OK;
}

static const uint8_t *flash_map(void *ctx, uint32_t offset, size_t length)
{
    const struct tinyfleet_port *port = ctx;

    return port->flash_map(port->ctx, offset, length);
}

static uint32_t now_ms(void *ctx)
{
    const struct tinyfleet_port *port = ctx;

    return port->now_ms(port->ctx);
}

static uint32_t unix_s(void *ctx)
{
    const struct tinyfleet_port *port = ctx;

    return port->unix_s(port->ctx);
}

static void restart(void *ctx)
{
    const struct tinyfleet_port *port = ctx;

    port->restart(port->ctx);
}

static void watchdog_kick(void *ctx)
{
    const struct tinyfleet_port *port = ctx;

    if (port->watchdog_kick != NULL) {
        port->watchdog_kick(port->ctx);
    }
}

static int was_fault(void *ctx)
{
    const struct tinyfleet_port *port = ctx;

    return port->was_fault != NULL && port->was_fault(port->ctx) != 0;
}

struct tf_hal tinyfleet_hal(struct tinyfleet_port *port)
{
    return (struct tf_hal){
        .ctx = port,
        .flash_read = flash_read,
        .flash_write = flash_write,
        .flash_erase = flash_erase,
        .flash_map = flash_map,
        .now_ms = now_ms,
        .unix_s = port->unix_s != NULL ? unix_s : NULL,
        .reset = restart,
        .watchdog_kick = watchdog_kick,
        .was_fault = was_fault,
        .trial_inferences = port->trial_inferences,
    };
}
