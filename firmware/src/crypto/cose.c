/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/cose.h"

#include <string.h>

#include "crypto/ed25519.h"
#include "tinyfleet/sha256.h"

#define ALGORITHM_ED25519 (-19)
#define TAG_SIGN1 18

void tf_cose_algorithm(struct tf_reader *reader, int32_t expected)
{
    if (tf_read_int(reader) != expected && reader->error == TF_OK) {
        reader->error = TF_ERR_ALGORITHM;
    }
}

static void read_protected(struct tf_reader *outer, struct tf_sign1 *sign1)
{
    struct tf_reader reader = tf_reader_enter(outer);
    sign1->protected_header = reader.at;
    tf_expect_head(&reader, TF_MAP, 2);
    tf_expect_head(&reader, TF_UINT, 1);
    tf_cose_algorithm(&reader, ALGORITHM_ED25519);
    tf_expect_head(&reader, TF_UINT, 4);
    sign1->kid = tf_read_bytes_of(&reader, TF_KID_BYTES);
    tf_reader_leave(outer, &reader);
}

void tf_cose_read(struct tf_reader *reader, bool detached, struct tf_sign1 *sign1)
{
    tf_expect_head(reader, TF_TAG, TAG_SIGN1);
    tf_expect_head(reader, TF_ARRAY, 4);
    read_protected(reader, sign1);
    tf_expect_head(reader, TF_MAP, 0);
    if (detached) {
        tf_expect_head(reader, TF_SIMPLE, TF_CBOR_NULL);
        sign1->payload = (struct tf_view){0};
    } else {
        sign1->payload = tf_read_bytes(reader);
    }
    sign1->signature = tf_read_bytes_of(reader, 64);
}

int tf_cose_verify(const struct tf_sign1 *sign1, const uint8_t key[TF_KEY_BYTES], struct tf_view payload)
{
    /* Sig_structure: array of 4, "Signature1", protected header, empty external data, payload. */
    static const uint8_t before[] = {0x84, 0x6a, 'S', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e', '1', 0x40 + TF_PROTECTED_BYTES};
    static const uint8_t no_external[] = {0x40};
    uint8_t head[9];
    struct tf_writer writer = {head, sizeof head, 0};
    tf_write_head(&writer, TF_BSTR, payload.size);
    const struct tf_view parts[] = {
        {before, sizeof before},
        {sign1->protected_header, TF_PROTECTED_BYTES},
        {no_external, sizeof no_external},
        {head, writer.length},
        payload,
    };
    return tf_ed25519_verify(sign1->signature, key, parts, sizeof parts / sizeof parts[0]);
}

void tf_key_id(uint8_t kid[TF_KID_BYTES], const uint8_t key[TF_KEY_BYTES])
{
    struct tf_sha256 sha;
    uint8_t digest[TF_DIGEST_BYTES];
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, key, TF_KEY_BYTES);
    tf_sha256_final(&sha, digest);
    memcpy(kid, digest, TF_KID_BYTES);
}

bool tf_is_key_id(const uint8_t *kid, const uint8_t key[TF_KEY_BYTES])
{
    uint8_t wanted[TF_KID_BYTES];
    tf_key_id(wanted, key);
    return tf_same(kid, wanted, sizeof wanted);
}
