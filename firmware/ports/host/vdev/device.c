/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serial_answer.h"
#include "trial_faults.h"

#define POLL_EVERY_MS 1000u
#define INPUT_BYTES_MAX 16384u
#define REVIVE_AFTER_MS 1000u

/* Offsets in the provisioned region (docs/specs/flash.md, section 1), which is at the start of flash. */
enum { AT_ADDRESS = 152, AT_FLEET = 188, AT_NAME = 252 };

const char *vdev_name(const struct vdev *device)
{
    return (const char *)device->host.flash.bytes + AT_NAME;
}

const char *vdev_fleet(const struct vdev *device)
{
    return (const char *)device->host.flash.bytes + AT_FLEET;
}

uint8_t vdev_address(const struct vdev *device)
{
    return device->host.flash.bytes[AT_ADDRESS];
}

const struct tf_state *vdev_state(const struct vdev *device)
{
    return &device->host.agent.journal.record.state;
}

/* A message that waits because of the fault `delay`, or until the device has run its model. */
struct delayed {
    struct loop_timer timer;
    struct vdev *device;
    size_t length;
    uint8_t message[];
};

static void send_delayed(void *owner)
{
    struct delayed *delayed = owner;

    delayed->device->kind->send(delayed->device, delayed->message, delayed->length);
    free(delayed);
}

/* After a run of the model: this machine is faster than the device that it stands for. */
static void take_time(struct vdev *device)
{
    const uint32_t inferences = device->host.agent.counters.inferences;

    if (inferences != device->inferences) {
        device->inferences = inferences;
        device->busy_until_ms = loop_now_ms() + device->run_ms;
    }
}

static void send(struct vdev *device, const uint8_t *message, size_t length)
{
    const uint64_t now_ms = loop_now_ms();
    const uint64_t busy_ms = device->busy_until_ms > now_ms ? device->busy_until_ms - now_ms : 0;
    const uint64_t wait_ms = busy_ms > device->faults.delay_ms ? busy_ms : device->faults.delay_ms;

    if (faults_drop(&device->faults)) {
        return;
    }
    if (wait_ms == 0) {
        device->kind->send(device, message, length);
        return;
    }
    struct delayed *delayed = calloc(1, sizeof *delayed + length);

    if (delayed != NULL) { /* otherwise it is lost, which can happen to any message */
        delayed->timer = (struct loop_timer){ .fire = send_delayed, .owner = delayed };
        delayed->device = device;
        delayed->length = length;
        memcpy(delayed->message, message, length);
        loop_after(&delayed->timer, wait_ms);
    }
}

/* What the built-ins read: the sensor of the device, in its next rows. */
static void sense(void *owner, uint8_t *samples)
{
    struct vdev *device = owner;
    const struct input_window window = { .elements = SENSED_SAMPLES, .element_bytes = 2, .channels = 1 };

    device->sensor.bearing = device->faults.bearing;
    (void)sensor_fill(&device->sensor, &window, samples, SENSED_BYTES); /* it takes every window of two bytes */
}

static void boot(struct vdev *device)
{
    int result;

    trial_faults_select(&device->host, &device->faults);
    result = host_boot(&device->host);
    if (result == HOST_POWER_CUT) {
        device->power_cuts++;
        result = host_boot(&device->host);
    }
    device->restarts++;
    device->alive = result >= 0;
    loop_soon(&device->work);
}

void vdev_report(struct vdev *device)
{
    uint8_t message[SERIAL_ANSWER_BYTES];

    if (device->alive && device->kind->may_send_unsolicited) {
        trial_faults_select(&device->host, &device->faults);
        const int length = host_report(&device->host, message, sizeof message);

        if (length > 0) {
            send(device, message, (size_t)length);
        }
    }
}

void vdev_restart(struct vdev *device)
{
    boot(device);
    vdev_report(device);
}

/* Handle what every call of the agent may end in. Returns the result of the call, or 0 after a restart. */
static int after(struct vdev *device, int result)
{
    take_time(device);
    if (result == HOST_POWER_CUT) {
        device->power_cuts++;
        vdev_restart(device);
        return 0;
    }
    if (device->host.wants_reset) {
        vdev_restart(device);
        return 0;
    }
    return result;
}

/* Over a serial line the gateway asks for it instead. */
static void send_request(struct vdev *device)
{
    uint8_t message[SERIAL_ANSWER_BYTES];

    if (device->kind->may_send_unsolicited) {
        const int length = tf_operations_request(&device->host.agent, message, sizeof message);

        if (length > 0) {
            send(device, message, (size_t)length);
        }
    }
}

static void work(void *owner)
{
    struct vdev *device = owner;

    if (!device->alive) {
        return;
    }
    trial_faults_select(&device->host, &device->faults);
    const int polled = after(device, host_poll(&device->host, (uint32_t)loop_now_ms()));

    if (polled > 0 && (polled & TF_POLL_REPORT) != 0) {
        vdev_report(device);
    }
    if (polled > 0 && (polled & TF_POLL_REQUEST) != 0) {
        send_request(device);
    }
    if (polled > 0 && (polled & TF_POLL_WORK) != 0) {
        loop_soon(&device->work);
    }
}

static void infer(struct vdev *device)
{
    _Alignas(4) uint8_t input[INPUT_BYTES_MAX];
    const struct input_window window = input_window_of(&device->host.agent);
    struct tf_verdict verdict;

    if (window.elements == 0) {
        return;
    }
    device->sensor.bearing = device->faults.bearing;
    if (!sensor_fill(&device->sensor, &window, input, sizeof input)) {
        tf_agent_input_missing(&device->host.agent);
        return;
    }
    trial_faults_select(&device->host, &device->faults);
    (void)after(device, host_infer(&device->host, input, (size_t)window.elements * window.element_bytes, &verdict));
}

/* The value of a hexadecimal digit, or -1. */
static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != 0 ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

const char *vdev_infer(struct vdev *device, const char *hex, struct tf_verdict *verdict)
{
    _Alignas(4) uint8_t input[INPUT_BYTES_MAX];
    const size_t length = strlen(hex) / 2;

    if (!device->alive || length > sizeof input || strlen(hex) % 2 != 0) {
        return "the device is off, or the window is malformed";
    }
    for (size_t i = 0; i < length; i++) {
        const int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

        if (high < 0 || low < 0) {
            return "a window is given in lower-case hexadecimal digits";
        }
        input[i] = (uint8_t)(high << 4 | low);
    }
    trial_faults_select(&device->host, &device->faults);
    device->host.now_ms = (uint32_t)loop_now_ms();
    const int result = host_infer(&device->host, input, length, verdict);

    (void)after(device, result);
    return result == TF_OK ? NULL : "the model did not take the window";
}

/* Once a second, or more often if inferences need it. */
static uint64_t tick_ms(const struct vdev *device)
{
    const uint32_t infer = device->infer_every_ms;

    return !device->alive ? REVIVE_AFTER_MS : infer != 0 && infer < POLL_EVERY_MS ? infer : POLL_EVERY_MS;
}

static void tick(void *owner)
{
    struct vdev *device = owner;

    loop_after(&device->tick, tick_ms(device));
    if (!device->alive) {
        boot(device);
        return;
    }
    loop_soon(&device->work);
    if (device->infer_every_ms != 0 && loop_now_ms() >= device->next_inference_ms) {
        device->next_inference_ms = loop_now_ms() + device->infer_every_ms;
        infer(device);
    }
}

void vdev_start(struct vdev *device, const struct flash_model *flash, const struct tf_geometry *geometry,
                struct tf_arena arena, struct vdev_pace pace, uint32_t seed)
{
    host_device_init(&device->host, flash, geometry, arena);
    trial_faults_wrap(&device->host);
    device->host.sense = sense;
    device->host.sensor = device;
    device->faults.random = seed * 2654435761u | 1u;
    device->infer_every_ms = pace.infer_every_ms;
    device->run_ms = pace.run_ms;
    device->tick = (struct loop_timer){ .fire = tick, .owner = device };
    device->work = (struct loop_turn){ .take = work, .owner = device };
    boot(device);
    /* spread over the second, so that thousands of devices do not wake at once */
    loop_after(&device->tick, 1u + seed * 7919u % POLL_EVERY_MS);
}

void vdev_receive(struct vdev *device, const uint8_t *message, size_t received, bool corrected, bool quiet)
{
    uint8_t answer[SERIAL_ANSWER_BYTES];

    if (!device->alive || faults_drop(&device->faults)) {
        return;
    }
    trial_faults_select(&device->host, &device->faults);
    device->host.unix_s = (uint32_t)time(NULL);
    const int length = host_handle(&device->host, message, received, corrected, answer, sizeof answer);

    take_time(device);
    /* send the answer before the restart that the agent may have requested */
    if (length > 0 && !quiet) {
        send(device, answer, (size_t)length);
    }
    (void)after(device, length);
    loop_soon(&device->work);
}

void vdev_faults_changed(struct vdev *device)
{
    if (device->faults.cut_after != 0) {
        host_cut_after(&device->host, device->faults.cut_after, FLASH_CUT_TORN, device->faults.random);
        device->faults.cut_after = 0;
    }
}
