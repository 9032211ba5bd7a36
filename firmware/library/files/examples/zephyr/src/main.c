/* SPDX-License-Identifier: Apache-2.0 */
/* A firmware of Zephyr that watches a vibration sensor, and takes new models from its gateway over a UART. */
#include <zephyr/device.h>
#include <zephyr/devicetree.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>
#include <zephyr/task_wdt/task_wdt.h>

#include "sensor.h"
#include "tinyfleet_zephyr.h"

static struct tinyfleet_zephyr node;
static uint8_t arena[32 * 1024] __aligned(8); /* what your largest model needs: `tinyfleet build` shows it */
static uint8_t window[4096] __aligned(4);

int main(void)
{
    const struct tinyfleet_port port = {
        .engines = tinyfleet_all_engines,
        .recorder = &tf_sampling,
        .flash.samples_bytes = 32 * 1024,
        .arena = arena,
        .arena_bytes = sizeof arena,
        .trial_inferences = 1,
    };
    int result = task_wdt_init(DEVICE_DT_GET_OR_NULL(DT_ALIAS(watchdog0)));

    if (result == 0) {
        result = tinyfleet_zephyr_start(&node, FIXED_PARTITION_ID(tinyfleet_partition), TINYFLEET_ZEPHYR_ADDRESS(tinyfleet_partition), port);
    }
    if (result == 0) {
        result = tinyfleet_zephyr_serial(&node, DEVICE_DT_GET(DT_ALIAS(tinyfleet_uart)));
    }
    if (result != 0) {
        printk("tinyfleet: error %d; is the device provisioned?\n", result);
        return result;
    }
    for (;;) {
        while (tinyfleet_zephyr_poll(&node)) {
            /* an update makes progress */
        }
        const size_t length = tinyfleet_input_bytes(&node.device);
        struct tf_verdict verdict;

        if (length <= sizeof window && sensor_read(window, length)
            && tinyfleet_infer(&node.device, window, length, &verdict) == TF_OK && verdict.decision != 0) {
            printk("anomaly, score %d\n", (int)verdict.score);
        }
        k_msleep(1);
    }
}
