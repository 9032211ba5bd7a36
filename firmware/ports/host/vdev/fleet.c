/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define HEADER_BYTES 640u
#define NAME_AT 252u
#define NAME_BYTES 64u

/* The images, sorted by file name. */
struct images {
    const char *folder;
    struct dirent **entries;
    int count;
    uint32_t largest;
};

static int is_image(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static char *path_of(const char *folder, const char *name, const char *ending)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s%s", folder, name, ending) < 0 ? NULL : path;
}

static const char *look_through(struct images *images, const char *folder)
{
    images->folder = folder;
    images->count = scandir(folder, &images->entries, is_image, alphasort);
    if (images->count <= 0) {
        return "can't read the image folder, or it is empty";
    }
    for (int i = 0; i < images->count; i++) {
        char *path = path_of(folder, images->entries[i]->d_name, "");
        struct stat status;

        if (path == NULL || stat(path, &status) != 0 || status.st_size < (off_t)HEADER_BYTES
            || status.st_size > (off_t)(1u << 28)) {
            free(path);
            return "a file in the image folder is not a provisioned region";
        }
        images->largest = (uint32_t)status.st_size > images->largest ? (uint32_t)status.st_size : images->largest;
        free(path);
    }
    return NULL;
}

static void forget(struct images *images)
{
    for (int i = 0; i < images->count; i++) {
        free(images->entries[i]);
    }
    free(images->entries);
}

/* Read one image into `image`; returns its length, or 0. */
static size_t read_image(const struct images *images, int index, uint8_t *image)
{
    char *path = path_of(images->folder, images->entries[index]->d_name, "");
    FILE *file = path == NULL ? NULL : fopen(path, "rb");
    const size_t length = file == NULL ? 0 : fread(image, 1, images->largest, file);

    if (file != NULL) {
        fclose(file);
    }
    free(path);
    return length >= HEADER_BYTES && memchr(image + NAME_AT, 0, NAME_BYTES) != NULL ? length : 0;
}

static uint8_t *open_flash(const struct options *options, uint32_t bytes, const uint8_t *image, size_t length)
{
    if (options->flash_folder == NULL) {
        return flash_open_memory(bytes, image, length);
    }
    char *path = path_of(options->flash_folder, (const char *)image + NAME_AT, ".flash");
    uint8_t *flash = path == NULL ? NULL : flash_open_file(path, bytes, image, length);

    free(path);
    return flash;
}

static const char *open_device(struct fleet *fleet, const struct options *options, uint8_t *bytes)
{
    struct vdev *device = &fleet->devices[fleet->count];
    const uint32_t seed = options->seed + (uint32_t)fleet->count;
    const struct flash_model flash = {
        .bytes = bytes,
        .size = flash_layout_bytes(&fleet->geometry),
        .erase_size = fleet->geometry.erase_size,
        .write_size = fleet->geometry.write_size,
        .random = seed | 1u,
    };
    /* pages that no model uses cost no memory */
    void *arena = mmap(NULL, options->arena_bytes + 1u, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (arena == MAP_FAILED) {
        return "out of memory for an arena";
    }
    sensor_start(&device->sensor, options->recording == NULL ? NULL : &fleet->recording, seed);
    vdev_start(device, &flash, &fleet->geometry, (struct tf_arena){ arena, options->arena_bytes },
               options->pace, seed);
    const uint32_t random = device->faults.random;

    device->faults = options->faults;
    device->faults.random = random;
    vdev_faults_changed(device);
    fleet->count++;
    return NULL;
}

static const char *open_devices(struct fleet *fleet, const struct options *options, const struct images *images)
{
    uint8_t *image = malloc(images->largest);
    const char *wrong = image == NULL ? "out of memory" : NULL;

    for (int i = 0; wrong == NULL && i < images->count; i++) {
        const size_t length = read_image(images, i, image);
        uint8_t *flash = length == 0 ? NULL : open_flash(options, flash_layout_bytes(&fleet->geometry), image, length);

        wrong = length == 0    ? "a file in the image folder is not a provisioned region"
                : flash == NULL ? "can't open the flash of a device"
                                : open_device(fleet, options, flash);
    }
    free(image);
    return wrong;
}

static const char *open_connections(struct fleet *fleet, const struct options *options)
{
    fleet->connections = calloc(fleet->count, sizeof *fleet->connections);
    if (fleet->connections == NULL) {
        return "out of memory";
    }
    mqtt_links_begin();
    for (size_t i = 0; i < fleet->count; i++) {
        const char *wrong = mqtt_link_open(&fleet->connections[i], &options->mqtt, &fleet->devices[i]);

        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

static const char *open_line(struct fleet *fleet, const char *where, uint32_t baud)
{
    return serial_line_open(&fleet->lines[fleet->line_count++], where, baud);
}

static const char *open_lines(struct fleet *fleet, const struct options *options)
{
    const size_t count = options->line_each != NULL ? fleet->count : options->line_count;
    const char *wrong = NULL;

    fleet->lines = calloc(count, sizeof *fleet->lines);
    if (fleet->lines == NULL) {
        return "out of memory";
    }
    for (size_t i = 0; wrong == NULL && i < count; i++) {
        if (options->line_each == NULL) {
            wrong = open_line(fleet, options->lines[i], options->baud);
            continue;
        }
        char *where = path_of(options->line_each, vdev_name(&fleet->devices[i]), "");

        wrong = where == NULL ? "out of memory" : open_line(fleet, where, options->baud);
        free(where);
    }
    for (size_t i = 0; wrong == NULL && i < fleet->count; i++) {
        /* split the devices evenly over the lines, in the order of the images */
        wrong = serial_line_add(&fleet->lines[i * count / fleet->count], &fleet->devices[i]);
    }
    return wrong;
}

const char *fleet_open(struct fleet *fleet, const struct options *options)
{
    struct images images = { 0 };
    struct flash_sizes sizes = options->flash;
    const char *wrong = look_through(&images, options->images);

    *fleet = (struct fleet){ 0 };
    if (wrong == NULL && options->recording != NULL) {
        wrong = recording_read(&fleet->recording, options->recording);
    }
    if (wrong == NULL) {
        sizes.provisioned_bytes = images.largest;
        fleet->geometry = flash_layout(&sizes);
        fleet->devices = calloc((size_t)images.count, sizeof *fleet->devices);
        wrong = fleet->devices == NULL ? "out of memory" : open_devices(fleet, options, &images);
    }
    forget(&images);
    if (wrong != NULL) {
        return wrong;
    }
    return options->broker != NULL ? open_connections(fleet, options) : open_lines(fleet, options);
}

void fleet_close(struct fleet *fleet)
{
    for (size_t i = 0; fleet->connections != NULL && i < fleet->count; i++) {
        mqtt_link_close(&fleet->connections[i]);
    }
    if (fleet->connections != NULL) {
        mqtt_links_end();
    }
    for (size_t i = 0; i < fleet->line_count; i++) {
        serial_line_close(&fleet->lines[i]);
    }
    for (size_t i = 0; i < fleet->count; i++) {
        struct host_device *host = &fleet->devices[i].host;

        (void)munmap(host->flash.bytes, host->flash.size);
        (void)munmap(host->arena.data, host->arena.size + 1u);
    }
    recording_free(&fleet->recording);
    free(fleet->connections);
    free(fleet->lines);
    free(fleet->devices);
}

struct vdev *fleet_find(struct fleet *fleet, const char *name, size_t from)
{
    for (size_t i = from; i < fleet->count; i++) {
        if (strcmp(name, "*") == 0 || strcmp(name, vdev_name(&fleet->devices[i])) == 0) {
            return &fleet->devices[i];
        }
    }
    return NULL;
}
