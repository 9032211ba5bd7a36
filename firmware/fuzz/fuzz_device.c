/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_device.h"

#include <stdio.h>
#include <string.h>

#include "fuzz.h"

void fuzz_read_region(const struct fuzz_memory *memory, const char *suffix)
{
    const size_t size = memory->geometry->provisioned.size;
    const char *name = getenv("TINYFLEET_FUZZ_REGION");
    char path[512];
    FUZZ_HOLDS(name != NULL && snprintf(path, sizeof path, "%s%s", name, suffix) < (int)sizeof path);
    FILE *file = fopen(path, "rb");
    FUZZ_HOLDS(file != NULL);
    memset(memory->region, 0xff, size);
    FUZZ_HOLDS(fread(memory->region, 1, size, file) > 0);
    (void)fclose(file);
}

void fuzz_make_device(struct host_device *device, const struct fuzz_memory *memory)
{
    const struct flash_model flash = {
        .bytes = memory->flash, .size = (uint32_t)memory->flash_bytes, .erase_size = FUZZ_ERASE, .write_size = FUZZ_WRITE, .random = 1};
    memset(memory->flash, 0xff, memory->flash_bytes);
    memcpy(memory->flash, memory->region, memory->geometry->provisioned.size);
    host_device_init(device, &flash, memory->geometry, memory->arena);
    FUZZ_HOLDS(host_boot(device) == TF_OK);
}
