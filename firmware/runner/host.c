/* SPDX-License-Identifier: Apache-2.0 */
/* The runner on Linux: answers requests from standard input until it ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

#define REQUEST_MAX (1ull << 30)
#define VERDICT_BYTES 1024u

static void write_out(void *ctx, const void *bytes, size_t length)
{
    (void)ctx;
    if (fwrite(bytes, 1, length, stdout) != length) {
        exit(EXIT_FAILURE); /* nobody reads any more */
    }
}

static uint32_t no_instructions(void)
{
    return 0;
}

/* Allocates exactly as much as the request says, so that a sanitizer sees a read past its end. */
static int answer(const uint8_t head[RUNNER_HEAD_BYTES])
{
    const struct runner_port port = {.write = write_out, .instructions = no_instructions};
    const uint64_t length = runner_request_bytes(head);
    if (length > REQUEST_MAX) {
        return EXIT_FAILURE;
    }
    uint8_t *request = malloc(length);
    uint8_t *arena = malloc(runner_arena_bytes(head) + 1u);
    uint8_t *outputs = malloc(runner_arena_bytes(head) + VERDICT_BYTES);
    int result = EXIT_FAILURE;
    if (request != NULL && arena != NULL && outputs != NULL) {
        memcpy(request, head, RUNNER_HEAD_BYTES);
        if (fread(request + RUNNER_HEAD_BYTES, 1, length - RUNNER_HEAD_BYTES, stdin) == length - RUNNER_HEAD_BYTES) {
            runner_answer(&port, request, arena, outputs);
            result = fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        }
    }
    free(request);
    free(arena);
    free(outputs);
    return result;
}

int main(void)
{
    uint8_t head[RUNNER_HEAD_BYTES];
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        if (answer(head) != EXIT_SUCCESS) {
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}
