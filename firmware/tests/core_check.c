/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The modules of the core on the host, under the sanitizers: one command per line on standard input, one answer per line.
 * Arguments are numbers, or bytes in hexadecimal; "-" stands for no bytes. Driven by tests/firmware/core_process.py.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/curve.h"
#include "crypto/ed25519.h"
#include "crypto/poly1305.h"
#include "envelope/delegation.h"
#include "envelope/envelope.h"
#include "payload/heatshrink.h"
#include "payload/patch.h"
#include "crypto/sha512.h"
#include "tinyfleet/frame.h"
#include "tinyfleet/pack.h"

#define ARGUMENTS_MAX 16

/* Bytes on the heap, in an allocation of exactly their size, so that a read past the end is detected. */
struct argument {
    const char *text;
    uint8_t *data;
    size_t size;
};

static struct argument arguments[ARGUMENTS_MAX];
static size_t argument_count;

static unsigned long number(size_t index)
{
    return strtoul(arguments[index].text, NULL, 10);
}

static struct tf_view bytes(size_t index)
{
    return (struct tf_view){arguments[index].data, arguments[index].size};
}

static void show(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        printf("%02x", data[i]);
    }
}

static void unhex(struct argument *argument)
{
    size_t digits = strcmp(argument->text, "-") == 0 ? 0 : strlen(argument->text);
    argument->size = digits / 2;
    argument->data = malloc(argument->size);
    for (size_t i = 0; i < argument->size; i++) {
        char pair[3] = {argument->text[2 * i], argument->text[2 * i + 1], 0};
        argument->data[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
}

/* ------------------------------------------------------------------ flash backed by an array */

static int read_bytes(void *ctx, uint32_t offset, void *buffer, size_t length)
{
    const struct tf_view *flash = ctx;
    if (offset > flash->size || length > flash->size - offset) {
        return TF_ERR_FLASH;
    }
    memcpy(buffer, flash->data + offset, length);
    return 0;
}

/* ------------------------------------------------------------------ commands */

static void do_sha256(void)
{
    struct tf_sha256 sha;
    uint8_t digest[32];
    tf_sha256_init(&sha);
    for (size_t i = 1; i < argument_count; i++) {
        tf_sha256_update(&sha, arguments[i].data, arguments[i].size);
    }
    tf_sha256_final(&sha, digest);
    show(digest, sizeof digest);
}

static void do_sha512(void)
{
    struct tf_sha512 sha;
    uint8_t digest[64];
    tf_sha512_init(&sha);
    for (size_t i = 1; i < argument_count; i++) {
        tf_sha512_update(&sha, arguments[i].data, arguments[i].size);
    }
    tf_sha512_final(&sha, digest);
    show(digest, sizeof digest);
}

/* sign seed public_key part ... */
static void do_sign(void)
{
    uint8_t signature[64];
    struct tf_view parts[ARGUMENTS_MAX];
    for (size_t i = 3; i < argument_count; i++) {
        parts[i - 3] = bytes(i);
    }
    tf_ed25519_sign(signature, arguments[1].data, arguments[2].data, parts, argument_count - 3);
    show(signature, sizeof signature);
}

/* verify signature public_key message */
static void do_verify(void)
{
    const struct tf_view message = bytes(3);
    printf("%d", tf_ed25519_verify(arguments[1].data, arguments[2].data, &message, 1));
}

/* agree seed peer */
static void do_agree(void)
{
    uint8_t shared[32];
    const int error = tf_ed25519_agree(shared, arguments[1].data, arguments[2].data);
    if (error != TF_OK) {
        printf("%d", error);
    } else {
        show(shared, sizeof shared);
    }
}

/* x25519 scalar peer */
static void do_x25519(void)
{
    uint8_t scalar[32];
    uint8_t shared[32];
    memcpy(scalar, arguments[1].data, sizeof scalar);
    scalar[0] &= 0xf8;
    scalar[31] = (uint8_t)((scalar[31] & 0x7f) | 0x40);
    tf_curve_agree(shared, scalar, arguments[2].data);
    show(shared, sizeof shared);
}

/* poly1305 key message */
static void do_poly1305(void)
{
    uint8_t tag[TF_TAG_BYTES];
    tf_poly1305(tag, arguments[1].data, bytes(2));
    show(tag, sizeof tag);
}

static void show_accepted(const struct tf_accepted *accepted)
{
    const struct tf_manifest *manifest = &accepted->manifest;
    printf(" %s %lu ", manifest->configure ? "configure" : "install", (unsigned long)manifest->sequence);
    show(manifest->digest, TF_DIGEST_BYTES);
    printf(" %lu ", (unsigned long)manifest->size);
    show(accepted->delegation.key, TF_KEY_BYTES);
    printf(" %lu %lu", (unsigned long)accepted->delegation.epoch, (unsigned long)accepted->delegation.exp);
    for (int i = 0; i < manifest->value_count; i++) {
        printf(" %d %ld", manifest->values[i].index, (long)manifest->values[i].value);
    }
}

/* envelope identity{root vendor class device} sequence delegation{key epoch exp} running slot_bytes now envelope */
static void do_envelope(void)
{
    struct tf_identity identity = {0};
    struct tf_delegation delegation = {.epoch = (uint32_t)number(7), .exp = (uint32_t)number(8)};
    struct tf_accepted accepted;
    memcpy(identity.root, arguments[1].data, TF_KEY_BYTES);
    memcpy(identity.vendor, arguments[2].data, TF_UUID_BYTES);
    memcpy(identity.class_id, arguments[3].data, TF_UUID_BYTES);
    memcpy(identity.device, arguments[4].data, TF_UUID_BYTES);
    memcpy(delegation.key, arguments[6].data, arguments[6].size);
    const struct tf_trust trust = {
        .identity = &identity,
        .sequence = (uint32_t)number(5),
        .delegation = &delegation,
        .running = arguments[9].size != 0 ? arguments[9].data : NULL,
        .slot_bytes = (uint32_t)number(10),
        .now = (uint32_t)number(11),
    };
    int error = tf_envelope_verify(bytes(12), &trust, &accepted);
    printf("%d", error);
    if (error != TF_OK) {
        return;
    }
    show_accepted(&accepted);
    if (!accepted.manifest.configure) {
        struct tf_slot slot = {0};
        int kept = tf_envelope_keep(&accepted, &slot);
        int again = tf_envelope_verify_kept(&slot, &identity, accepted.manifest.sequence);
        int older = tf_envelope_verify_kept(&slot, &identity, accepted.manifest.sequence - 1);
        slot.digest[0] ^= 1;
        printf(" kept %d %d %d %d", kept, again, older, tf_envelope_verify_kept(&slot, &identity, accepted.manifest.sequence));
    }
}

/* rotation root vendor last rotation delegation */
static void do_rotation(void)
{
    struct tf_identity identity = {0};
    struct tf_rotation rotation;
    memcpy(identity.root, arguments[1].data, TF_KEY_BYTES);
    memcpy(identity.vendor, arguments[2].data, TF_UUID_BYTES);
    const int error = tf_rotation_verify(bytes(4), bytes(5), &identity, (uint16_t)number(3), &rotation);
    printf("%d", error);
    if (error != TF_OK) {
        return;
    }
    printf(" ");
    show(rotation.root, TF_KEY_BYTES);
    printf(" %d", rotation.number);
    if (rotation.delegation.epoch != 0) {
        printf(" ");
        show(rotation.delegation.key, TF_KEY_BYTES);
        printf(" %lu %lu", (unsigned long)rotation.delegation.epoch, (unsigned long)rotation.delegation.exp);
    }
}

static const char *const event_names[] = {"", "ready", "corrected", "bad"};

/* push capacity line */
static void do_push(void)
{
    struct tf_frame_receiver receiver;
    uint8_t *buffer = malloc(number(1));
    tf_frame_init(&receiver, buffer, number(1));
    for (size_t i = 0; i < arguments[2].size; i++) {
        enum tf_frame_event event = tf_frame_push(&receiver, arguments[2].data[i]);
        if (event == TF_FRAME_NONE) {
            continue;
        }
        printf("%s ", event_names[event]);
        if (event != TF_FRAME_BAD) {
            printf("%d ", receiver.address);
            show(receiver.message, receiver.length);
            printf("- "); /* makes an empty message a word, too */
        }
    }
    free(buffer);
}

/* encode address message capacity */
static void do_encode(void)
{
    size_t capacity = number(3);
    uint8_t *out = malloc(capacity);
    show(out, tf_frame_encode(out, capacity, (uint8_t)number(1), arguments[2].data, arguments[2].size));
    free(out);
}

typedef int next_byte(void *decoder, struct tf_stream *stream, const struct tf_hal *hal);

static int next_of_patch(void *decoder, struct tf_stream *stream, const struct tf_hal *hal)
{
    return tf_patch_next(decoder, stream, hal);
}

static int next_of_heatshrink(void *decoder, struct tf_stream *stream, const struct tf_hal *hal)
{
    return tf_heatshrink_next(decoder, stream, hal);
}

/* Decode this many bytes; the error, or TF_OK with *out filled. */
static int pull(next_byte *next, void *decoder, struct tf_stream *stream, const struct tf_hal *hal, struct tf_view *out, size_t length)
{
    uint8_t *decoded = malloc(length);
    *out = (struct tf_view){decoded, length};
    for (size_t i = 0; i < length; i++) {
        int byte = next(decoder, stream, hal);
        if (byte < 0) {
            return byte;
        }
        decoded[i] = (uint8_t)byte;
    }
    return TF_OK;
}

static void show_decoded(int error, struct tf_view decoded)
{
    printf("%d ", error);
    if (error == TF_OK) {
        show(decoded.data, decoded.size);
    }
    free((void *)decoded.data);
}

/* patch length source payload: flash holds the payload, then the source */
static void do_patch(void)
{
    size_t length = number(1);
    struct tf_view source = bytes(2);
    struct tf_view payload = bytes(3);
    uint8_t *flash = malloc(payload.size + source.size);
    uint8_t digest[32];
    struct tf_view view = {flash, payload.size + source.size};
    const struct tf_hal hal = {.ctx = &view, .flash_read = read_bytes};
    struct tf_sha256 sha;
    struct tf_stream stream;
    struct tf_patch patch;
    struct tf_view decoded = {0};
    memcpy(flash, payload.data, payload.size);
    memcpy(flash + payload.size, source.data, source.size);
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, source.data, source.size);
    tf_sha256_final(&sha, digest);
    const struct tf_base base = {(uint32_t)payload.size, (uint32_t)source.size, source.size != 0 ? digest : NULL};
    tf_stream_init(&stream, 0, (uint32_t)payload.size);
    int error = tf_patch_init(&patch, &stream, &hal, &base);
    if (error == TF_OK) {
        error = pull(next_of_patch, &patch, &stream, &hal, &decoded, length);
    }
    if (error == TF_OK) {
        error = tf_patch_end(&patch, &stream, &hal);
    }
    show_decoded(error, decoded);
    free(flash);
}

/* heatshrink length payload */
static void do_heatshrink(void)
{
    struct tf_view payload = bytes(2);
    const struct tf_hal hal = {.ctx = &payload, .flash_read = read_bytes};
    struct tf_stream stream;
    struct tf_heatshrink decoder;
    struct tf_view decoded = {0};
    tf_stream_init(&stream, 0, (uint32_t)payload.size);
    tf_heatshrink_init(&decoder);
    int error = pull(next_of_heatshrink, &decoder, &stream, &hal, &decoded, number(1));
    show_decoded(error, decoded);
}

static int check_pack(const struct tf_pack *pack, uint32_t arena)
{
    int error = tf_pack_check(pack, arena);
    if (error != TF_OK) {
        return error;
    }
    return tf_pack_kind(pack) == 0 ? tf_engine_threshold.check(pack) : TF_ERR_KIND;
}

/* pack arena pack: error of the check, then of each golden vector */
static void do_pack(void)
{
    const struct tf_pack pack = {.data = arguments[2].data, .size = (uint32_t)arguments[2].size};
    const struct tf_arena arena = {0};
    int error = check_pack(&pack, (uint32_t)number(1));
    printf("%d", error);
    for (uint32_t i = 0; error == TF_OK; i++) {
        error = tf_engine_threshold.golden(&pack, &arena, i);
        printf(" %d", error);
    }
}

/* run pack input: error, decision, score, with the pack's defaults */
static void do_run(void)
{
    const struct tf_pack pack = {.data = arguments[1].data, .size = (uint32_t)arguments[1].size};
    const struct tf_arena arena = {0};
    int32_t parameters[TF_PARAMETER_TABLE_MAX] = {0};
    struct tf_parameter_entry entry;
    struct tf_verdict verdict = {0};
    int error = check_pack(&pack, 0);
    for (uint32_t i = 0; error == TF_OK && tf_pack_parameter(&pack, i, &entry) == TF_OK; i++) {
        parameters[i] = entry.preset;
    }
    if (error == TF_OK) {
        error = tf_engine_threshold.run(&pack, &arena, parameters, arguments[2].data, arguments[2].size, &verdict);
    }
    printf("%d %ld %ld", error, (long)verdict.decision, (long)verdict.score);
}

static const struct {
    const char *name;
    void (*run)(void);
} commands[] = {
    {"sha256", do_sha256},
    {"sha512", do_sha512},
    {"sign", do_sign},
    {"verify", do_verify},
    {"agree", do_agree},
    {"x25519", do_x25519},
    {"poly1305", do_poly1305},
    {"envelope", do_envelope},
    {"rotation", do_rotation},
    {"push", do_push},
    {"encode", do_encode},
    {"patch", do_patch},
    {"heatshrink", do_heatshrink},
    {"pack", do_pack},
    {"run", do_run},
};

static void split(char *line)
{
    argument_count = 0;
    for (char *word = strtok(line, " \n"); word != NULL && argument_count < ARGUMENTS_MAX; word = strtok(NULL, " \n")) {
        arguments[argument_count].text = word;
        unhex(&arguments[argument_count++]);
    }
}

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) > 0) {
        split(line);
        for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
            if (strcmp(arguments[0].text, commands[i].name) == 0) {
                commands[i].run();
            }
        }
        putchar('\n');
        fflush(stdout);
        for (size_t i = 0; i < argument_count; i++) {
            free(arguments[i].data);
        }
    }
    free(line);
    return 0;
}
