/* SPDX-License-Identifier: Apache-2.0 */
/* One virtual device: the agent on its flash, a sensor, a link, and injected faults. */
#ifndef TINYFLEET_VDEV_DEVICE_H
#define TINYFLEET_VDEV_DEVICE_H

#include "faults.h"
#include "host_agent.h"
#include "loop.h"
#include "sensor.h"

/* The operations of a kind of link. Its own data is in the device's field `link`. */
struct vdev;
struct vdev_link {
    /* Send one message, an answer or a report. */
    void (*send)(struct vdev *device, const uint8_t *message, size_t length);
    bool may_send_unsolicited;
};

struct vdev {
    struct host_device host;
    struct faults faults;
    struct sensor sensor;
    struct loop_timer tick;
    struct loop_turn work;
    const struct vdev_link *kind;
    void *link; /* data of the link */
    uint32_t infer_every_ms;
    uint64_t next_inference_ms;
    uint32_t run_ms;        /* how long it is busy with an inference; this machine needs less */
    uint32_t inferences;    /* that busy_until_ms takes into account */
    uint64_t busy_until_ms; /* no answer leaves before */
    uint32_t restarts;
    uint32_t power_cuts;
    bool alive; /* false: it can't boot from its flash */
};

/* How often a device runs its model on its sensor, and how long that takes; 0: never, and as long as this machine needs. */
struct vdev_pace {
    uint32_t infer_every_ms;
    uint32_t run_ms;
};

/* Take over the flash, and boot the device when the loop runs. */
void vdev_start(struct vdev *device, const struct flash_model *flash, const struct tf_geometry *geometry,
                struct tf_arena arena, struct vdev_pace pace, uint32_t seed);

/* Restart, as after power loss. */
void vdev_restart(struct vdev *device);

/* Process a message. The answer goes out through the link unless `quiet` (a broadcast). */
void vdev_receive(struct vdev *device, const uint8_t *message, size_t received, bool corrected, bool quiet);

/* Run the model on a window in hexadecimal digits. NULL, or what is wrong. */
const char *vdev_infer(struct vdev *device, const char *hex, struct tf_verdict *verdict);

/* Send an unsolicited report, if the link allows it. */
void vdev_report(struct vdev *device);

/* Call after changing the faults: arms a power cut. */
void vdev_faults_changed(struct vdev *device);

/* The agent's state. */
const struct tf_state *vdev_state(const struct vdev *device);

/* From the provisioned region: known before the device has booted. */
const char *vdev_name(const struct vdev *device);
const char *vdev_fleet(const struct vdev *device);
uint8_t vdev_address(const struct vdev *device);

#endif
