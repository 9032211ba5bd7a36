// SPDX-License-Identifier: Apache-2.0
// The difference between the largest and the smallest sample of each axis. A window with a large one is kept.
//
//     clang --target=wasm32 -Os -nostdlib -Wl,--no-entry -Wl,-z,stack-size=16384 -Wl,--strip-all -o peaks.wasm peaks.c

#include <stdint.h>

#define AXES 3
#define PAGE 65536u
#define LARGE 4000 /* mg */
#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(name) __attribute__((import_module("tinyfleet"), import_name(name)))

// The first bucket of `needs.storage`; a code below 0 is a failure.
IMPORT("append") int64_t append(int32_t bucket, const void *data, int32_t length);

extern unsigned char __heap_base; // where the linker's data ends: all memory behind it is ours
static int32_t differences[AXES];

// Returns where the gateway writes the data of the request.
EXPORT("input") void *input(uint32_t length)
{
    uintptr_t start = ((uintptr_t)&__heap_base + 7u) & ~(uintptr_t)7u;
    uintptr_t has = __builtin_wasm_memory_size(0) * PAGE;
    if (start + length > has && __builtin_wasm_memory_grow(0, (start + length - has + PAGE - 1) / PAGE) == SIZE_MAX) {
        __builtin_trap();
    }
    return (void *)start;
}

// Returns the address of the result in the upper 32 bits, and its length in the lower ones.
EXPORT("handle") int64_t handle(const int16_t *window, uint32_t length)
{
    uint32_t samples = length / (AXES * sizeof *window);
    int32_t largest = 0;
    if (samples == 0) {
        return -1; // there is no difference in nothing
    }
    for (uint32_t axis = 0; axis < AXES; axis++) {
        int32_t low = window[axis], high = window[axis];
        for (uint32_t n = 1; n < samples; n++) {
            int32_t sample = window[n * AXES + axis];
            low = sample < low ? sample : low;
            high = sample > high ? sample : high;
        }
        differences[axis] = high - low;
        largest = high - low > largest ? high - low : largest;
    }
    if (largest >= LARGE && append(0, window, (int32_t)length) < 0) {
        return -2; // what could not be kept is tried again by the client
    }
    return (int64_t)((uint64_t)(uintptr_t)differences << 32 | sizeof differences);
}
