/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that a port provides: one struct of function pointers and the geometry of its flash.
 *
 * The core keeps these flash rules, and a flash model in tests should enforce them:
 *  - a write starts at a multiple of write_size and its length is a multiple of write_size; its data may have any alignment;
 *  - a write only goes to bytes that were erased since they were last written; an erase covers whole erase units;
 *  - erased bytes read 0xFF;
 *  - power loss during a write or an erase may leave any bits of its own range in any state (torn), and no others.
 * Functions return 0 or a negative enum tf_error (error.h). All calls come from one thread.
 */
#ifndef TINYFLEET_HAL_H
#define TINYFLEET_HAL_H

#include <stddef.h>
#include <stdint.h>

struct tf_region {
    uint32_t offset;     /* from the start of flash; a multiple of erase_size */
    uint32_t size;       /* a multiple of erase_size */
    uint32_t erase_size; /* a power of two; 0: that of the geometry. Equal for both slots, and for both logs of samples */
};

/*
 * The flash layout. Regions must not overlap; docs/specs/flash.md describes their contents.
 *   journal      two sectors, each of at least one erase unit and 2,048 bytes
 *   provisioned  identity, root key, pre-baked packs: written in the factory, only read here
 *   marks        one write unit per block and per erase unit of a slot; written during a transfer
 *   scratch      at least one erase unit of a slot, in units that are not larger; used to repair a unit in which power loss tore a block
 *   slot         A and B, of equal size; both of size 0: the device does not take packs over the air
 *   samples      anomalies, normals: each of size 0 (none is kept) or at least two erase units
 *   rows, forest both of size 0 (the device does not learn) or at least one erase unit each: what a forest is grown from, and the forest
 */
struct tf_geometry {
    uint32_t erase_size; /* of each region that does not state its own; a power of two, at least 64 */
    uint32_t write_size; /* a power of two, 1 ... TF_WRITE_SIZE_MAX */
    struct tf_region journal[2];
    struct tf_region provisioned;
    struct tf_region marks;
    struct tf_region scratch;
    struct tf_region slot[2];
    struct tf_region samples[2];
    struct tf_region rows;
    struct tf_region forest;
};

struct tf_hal {
    void *ctx; /* passed back as first argument */
    struct tf_geometry geometry;
    /* 0, or an error for bytes that flash refuses to read: power loss may leave them so until they are erased. */
    int (*flash_read)(void *ctx, uint32_t offset, void *buffer, size_t length);
    int (*flash_write)(void *ctx, uint32_t offset, const void *data, size_t length);
    int (*flash_erase)(void *ctx, uint32_t offset, size_t length);
    /* The address at which flash can be read in place (models run from there), or NULL. Stays valid until reset. */
    const uint8_t *(*flash_map)(void *ctx, uint32_t offset, size_t length);
    /* Monotonic milliseconds since start; may wrap. */
    uint32_t (*now_ms)(void *ctx);
    /* Seconds since 1970, or 0 while the device does not know the time. NULL: the device has no clock. */
    uint32_t (*unix_s)(void *ctx);
    /* Restart the device. May return (a host port only notes the request); the agent then waits for tf_agent_init(). */
    void (*reset)(void *ctx);
    /* Feed the hardware watchdog. Called at least every few milliseconds of work. */
    void (*watchdog_kick)(void *ctx);
    /* 1 when the watchdog or a fault ended the last run, else 0. tf_agent_boot() asks once. */
    int (*was_fault)(void *ctx);
    /*
     * How many inferences on real input must succeed after the golden vectors before a trial is confirmed. A model that
     * hangs or faults on what the sensor gives is then never confirmed. 0: the golden vectors alone decide.
     */
    uint32_t trial_inferences;
};

#endif
