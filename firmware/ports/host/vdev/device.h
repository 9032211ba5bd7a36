/* SPDX-License-Identifier: Apache-2.0 */
/* One virtual device: the agent on its flash, with a sensor, a link, and whatever is to go wrong with it. */
#ifndef TINYFLEET_VDEV_DEVICE_H
#define TINYFLEET_VDEV_DEVICE_H

#include "faults.h"
#include "host_agent.h"
#include "loop.h"
#include "sensor.h"

/* What a link does for its devices. `link` is the device's field of that name. */
struct vdev;
struct vdev_link {
    /* Send one message, an answer or a report. */
    void (*send)(struct vdev *device, const uint8_t *message, size_t length);
    bool may_speak_unasked;
};

struct vdev {
    struct host_device host;
    struct faults faults;
    struct sensor sensor;
    struct loop_timer tick;
    struct loop_turn work;
    const struct vdev_link *kind;
    void *link; /* the link's own */
    uint32_t infer_every_ms;
    uint64_t next_inference_ms;
    uint32_t restarts;
    uint32_t power_cuts;
    bool alive; /* false: its flash can't be booted from */
};

/* Takes over the flash. Boots the device when the loop runs. */
void vdev_start(struct vdev *device, const struct flash_model *flash, const struct tf_geometry *geometry,
                struct tf_arena arena, uint32_t infer_every_ms, uint32_t seed);

/* Restart, as after a loss of power. */
void vdev_restart(struct vdev *device);

/* A message has arrived; answered through the link unless `quiet` (a broadcast). */
void vdev_receive(struct vdev *device, const uint8_t *message, size_t received, bool corrected, bool quiet);

/* Say unasked how things are, if the link allows that. */
void vdev_report(struct vdev *device);

/* Arms what has to be armed after faults were asked for. */
void vdev_faults_changed(struct vdev *device);

/* What the agent has in its journal. */
const struct tf_state *vdev_state(const struct vdev *device);

/* From the provisioned region: known even before the device has booted. */
const char *vdev_name(const struct vdev *device);
const char *vdev_fleet(const struct vdev *device);
uint8_t vdev_address(const struct vdev *device);

#endif
