/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/manifest.h"

#include <string.h>

#include "crypto/cose.h"

#define ALGORITHM_SHA256 (-16)
#define INDEX_MAX 15

#define HEADS(reader, ...) \
    tf_expect_heads((reader), (const uint8_t[]){__VA_ARGS__}, sizeof(const uint8_t[]){__VA_ARGS__})

/* Read a number of 1 ... 2^32 - 1. */
static uint32_t positive(struct tf_reader *reader)
{
    uint32_t value = tf_read_head(reader, TF_UINT);
    if (value == 0 && reader->error == TF_OK) {
        reader->error = TF_ERR_OUT_OF_RANGE;
    }
    return value;
}

const uint8_t *tf_manifest_digest(struct tf_reader *reader)
{
    struct tf_reader digest = tf_reader_enter(reader);
    tf_expect_head(&digest, TF_ARRAY, 2);
    tf_cose_algorithm(&digest, ALGORITHM_SHA256);
    const uint8_t *value = tf_read_bytes_of(&digest, TF_DIGEST_BYTES);
    tf_reader_leave(reader, &digest);
    return value;
}

/* The shared sequence of an install: override vendor, class, digest, size, device; conditions vendor, class, device. */
static void read_install_shared(struct tf_reader *reader, struct tf_manifest *manifest)
{
    HEADS(reader, 0x88, 20, 0xa5, 1);
    manifest->vendor = tf_read_bytes_of(reader, TF_UUID_BYTES);
    HEADS(reader, 2);
    manifest->class_id = tf_read_bytes_of(reader, TF_UUID_BYTES);
    HEADS(reader, 3);
    manifest->digest = tf_manifest_digest(reader);
    HEADS(reader, 14);
    manifest->size = positive(reader);
    HEADS(reader, 0x18, 24);
    manifest->device = tf_read_bytes_of(reader, TF_UUID_BYTES);
    HEADS(reader, 1, 15, 2, 15, 0x18, 24, 15);
}

static void read_install(struct tf_reader *reader, struct tf_manifest *manifest)
{
    static const uint8_t keys[2] = {7, 20}; /* validate, install: image match in both */
    struct tf_reader common = tf_reader_enter(reader);
    HEADS(&common, 0xa2, 2, 0x81, 0x81, 0x41, 0x00, 4);
    struct tf_reader shared = tf_reader_enter(&common);
    read_install_shared(&shared, manifest);
    tf_reader_leave(&common, &shared);
    tf_reader_leave(reader, &common);
    for (int i = 0; i < 2; i++) {
        tf_expect_head(reader, TF_UINT, keys[i]);
        struct tf_reader match = tf_reader_enter(reader);
        HEADS(&match, 0x82, 3, 15);
        tf_reader_leave(reader, &match);
    }
}

static void read_values(struct tf_reader *outer, struct tf_manifest *manifest)
{
    struct tf_reader reader = tf_reader_enter(outer);
    uint32_t count = tf_read_head(&reader, TF_MAP);
    if (count > TF_PARAMETERS_MAX && reader.error == TF_OK) {
        reader.error = TF_ERR_OUT_OF_RANGE;
    }
    uint32_t least = 0;
    for (uint32_t i = 0; i < count && reader.error == TF_OK; i++) {
        uint32_t index = tf_read_head(&reader, TF_UINT);
        if (reader.error == TF_OK && (index > INDEX_MAX || index < least)) {
            reader.error = index > INDEX_MAX ? TF_ERR_OUT_OF_RANGE : TF_ERR_NOT_CANONICAL;
        }
        manifest->values[i].index = (uint8_t)index;
        manifest->values[i].value = tf_read_int(&reader);
        manifest->value_count++;
        least = index + 1;
    }
    tf_reader_leave(outer, &reader);
}

static void read_configure(struct tf_reader *reader, struct tf_manifest *manifest)
{
    struct tf_reader common = tf_reader_enter(reader);
    HEADS(&common, 0xa2, 2, 0x82, 0x81, 0x41, 0x00, 0x81, 0x41, 0x01, 4);
    struct tf_reader shared = tf_reader_enter(&common);
    HEADS(&shared, 0x86, 12, 0, 20, 0xa2, 3);
    manifest->digest = tf_manifest_digest(&shared);
    HEADS(&shared, 0x18, 24);
    manifest->device = tf_read_bytes_of(&shared, TF_UUID_BYTES);
    HEADS(&shared, 0x18, 24, 15);
    tf_reader_leave(&common, &shared);
    tf_reader_leave(reader, &common);
    tf_expect_head(reader, TF_UINT, 20);
    struct tf_reader install = tf_reader_enter(reader);
    HEADS(&install, 0x8a, 12, 0, 3, 15, 12, 1, 20, 0xa1, 18);
    read_values(&install, manifest);
    HEADS(&install, 18, 15);
    tf_reader_leave(reader, &install);
}

int tf_manifest_read(struct tf_view bytes, struct tf_manifest *manifest)
{
    struct tf_reader reader;
    memset(manifest, 0, sizeof *manifest);
    tf_reader_init(&reader, bytes);
    uint32_t count = tf_read_head(&reader, TF_MAP);
    if (count != 4 && count != 5 && reader.error == TF_OK) {
        reader.error = TF_ERR_UNEXPECTED;
    }
    manifest->configure = count == 4;
    HEADS(&reader, 1, 1, 2);
    manifest->sequence = positive(&reader);
    HEADS(&reader, 3);
    if (manifest->configure) {
        read_configure(&reader, manifest);
    } else {
        read_install(&reader, manifest);
    }
    return tf_reader_end(&reader);
}

int tf_claims_read(struct tf_view bytes, bool is_rotation, struct tf_claims *claims)
{
    struct tf_reader reader;
    tf_reader_init(&reader, bytes);
    const uint32_t count = tf_read_head(&reader, TF_MAP);
    const bool is_delegation = count == 3 || count == 4;
    if (reader.error == TF_OK && (is_rotation ? count != 2 : !is_delegation)) {
        reader.error = TF_ERR_UNEXPECTED;
    }
    claims->exp = 0;
    if (count == 4) {
        HEADS(&reader, 4);
        claims->exp = positive(&reader);
    }
    HEADS(&reader, 8, 0xa1, 1, 0xa3, 1, 1, 0x20, 6, 0x21); /* cnf, COSE_Key: OKP, Ed25519, x */
    claims->key = tf_read_bytes_of(&reader, TF_KEY_BYTES);
    if (is_rotation) {
        tf_expect_head(&reader, TF_NINT, 65538);
    } else {
        tf_expect_head(&reader, TF_NINT, 65536);
        claims->vendor = tf_read_bytes_of(&reader, TF_UUID_BYTES);
        tf_expect_head(&reader, TF_NINT, 65537);
    }
    claims->number = positive(&reader);
    return tf_reader_end(&reader);
}
