/* SPDX-License-Identifier: Apache-2.0 */
/* The agent on a bare board with one serial line. The main loop receives bytes, answers frames, runs the agent's jobs,
 * reads the sensor, and sleeps when there is nothing to do. */
#include <string.h>

#include "board.h"
#include "board_config.h"
#include "builtins.h"
#include "engines.h"
#include "fault.h"
#include "receive_ring.h"
#include "recorder.h"
#include "sensor.h"
#include "serial_answer.h"
#include "stages.h"

#define WATCHDOG_MS 8000u
#define TRIAL_INFERENCES 1u

/* The size report excludes these two by name: board_config.h and config.h have their sizes. */
static uint8_t transfer_buffer[TF_FRAME_BUFFER(TF_MESSAGE_MAX)];
static _Alignas(8) uint8_t model_arena[ARENA_BYTES];

static uint8_t answer_message[SERIAL_ANSWER_BYTES];
static struct tf_agent agent;
static struct tf_frame_receiver receiver;
static struct tf_sampler sampler;
static struct tf_stage stage;
static struct builtins builtins;
static uint32_t clock_ms, clock_ticks;

int main(void);

static int flash_read(void *ctx, uint32_t offset, void *buffer, size_t length)
{
    const uint8_t *from = board_flash_map(offset, length);

    (void)ctx;
    if (from == NULL) {
        return TF_ERR_FLASH;
    }
    (void)board_flash_unreadable(); /* models are read in place: what they ran into is not an error here */
    memcpy(buffer, from, length);
    return board_flash_unreadable() ? TF_ERR_FLASH : TF_OK;
}

static int flash_write(void *ctx, uint32_t offset, const void *data, size_t length)
{
    (void)ctx;
    return board_flash_program(offset, data, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

static int flash_erase(void *ctx, uint32_t offset, size_t length)
{
    (void)ctx;
    return board_flash_erase(offset, length) == 0 ? TF_OK : TF_ERR_FLASH;
}

static const uint8_t *flash_map(void *ctx, uint32_t offset, size_t length)
{
    (void)ctx;
    return board_flash_map(offset, length);
}

/* The counter wraps within minutes, the milliseconds computed from it only after 49 days, which the agent allows. */
static uint32_t now_ms(void *ctx)
{
    const uint32_t passed = (board_counter() - clock_ticks) / board_ticks_per_ms;

    (void)ctx;
    clock_ms += passed;
    clock_ticks += passed * board_ticks_per_ms;
    return clock_ms;
}

static void reset(void *ctx)
{
    (void)ctx;
    board_reset();
}

static void watchdog_kick(void *ctx)
{
    (void)ctx;
    board_watchdog(WATCHDOG_MS);
}

static int was_fault(void *ctx)
{
    const bool fired = board_watchdog_fired(); /* asked in any case, as this clears it */

    (void)ctx;
    return fault_take_note() || fired ? 1 : 0;
}

static int start(void)
{
    const struct tf_hal hal = {
        .geometry = board_geometry,
        .flash_read = flash_read,
        .flash_write = flash_write,
        .flash_erase = flash_erase,
        .flash_map = flash_map,
        .now_ms = now_ms,
        .reset = reset,
        .watchdog_kick = watchdog_kick,
        .was_fault = was_fault,
        .trial_inferences = TRIAL_INFERENCES,
    };
    const struct tf_arena arena = { model_arena, sizeof model_arena };
    const int result = tf_agent_init(&agent, &hal, port_engines, port_engine_count, arena);

    if (port_recorder != NULL) {
        sampler.burst_tokens = TF_SAMPLE_BURST_TOKENS;
        sampler.token_ms = TF_SAMPLE_TOKEN_MS;
        sampler.learner = port_learner;
        tf_agent_keep_samples(&agent, port_recorder, &sampler);
    }
    if (port_stages != NULL) {
        tf_agent_run_stages(&agent, port_stages, &stage);
    }
    builtins_serve(&builtins, &agent, sensor_read, NULL);
    return result < 0 ? result : tf_agent_boot(&agent);
}

/* Half duplex: the sender of a question needs the time of three bytes (a third of a millisecond at 115,200 baud) to release the line. */
static void let_line_turn(uint32_t asked_ticks)
{
    while (board_counter() - asked_ticks < board_ticks_per_ms) {
    }
}

static void answer(bool corrected)
{
    const uint8_t mine = tf_agent_identity(&agent)->address;
    const uint32_t asked_ticks = board_counter();

    if (receiver.address != mine && receiver.address != SERIAL_BROADCAST) {
        return;
    }
    const int length =
        serial_answer(&agent, &receiver, corrected, answer_message, transfer_buffer, sizeof transfer_buffer);

    if (length > 0) {
        let_line_turn(asked_ticks);
        board_uart_write(transfer_buffer, (size_t)length);
    }
}

static void listen(void)
{
    while (!receive_ring_empty()) {
        const enum tf_frame_event event = tf_frame_push(&receiver, receive_ring_take());

        board_uart_resume();
        if (event == TF_FRAME_READY || event == TF_FRAME_CORRECTED) {
            answer(event == TF_FRAME_CORRECTED);
        }
    }
}

int main(void)
{
    board_watchdog(WATCHDOG_MS);
    tf_frame_init(&receiver, transfer_buffer, sizeof transfer_buffer);
    if (start() < 0) {
        for (;;) { /* never provisioned, or broken flash: stay silent and sleep */
            board_watchdog(WATCHDOG_MS);
            board_sleep();
        }
    }
    for (;;) {
        listen();
        const int polled = tf_agent_poll(&agent, now_ms(NULL));

        sensor_poll(&agent, clock_ms);
        if (polled < 0 || (polled & TF_POLL_WORK) == 0) {
            board_watchdog(WATCHDOG_MS);
            board_sleep();
        }
    }
}
