/* SPDX-License-Identifier: Apache-2.0 */
/* The runner on an emulated board. The emulator puts the request into memory; the answer goes to the UART. */
#include "board.h"
#include "target.h"
#include "runner.h"

#define VERDICT_BYTES 1024u
#define ALIGNMENT 8u

int main(void);

static void write_out(void *ctx, const void *bytes, size_t length)
{
    (void)ctx;
    board_uart_write(bytes, length);
}

static uint8_t *aligned(uint8_t *address)
{
    return address + (0u - (uintptr_t)address) % ALIGNMENT;
}

int main(void)
{
    const struct runner_port port = {.write = write_out, .instructions = target_instructions};
    uint8_t *request = (uint8_t *)target_request;
    uint8_t *arena = aligned(request + runner_request_bytes(request));
    runner_answer(&port, request, arena, aligned(arena + runner_arena_bytes(request)));
    for (;;) {
        board_sleep();
    }
}
