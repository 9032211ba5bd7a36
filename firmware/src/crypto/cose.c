/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/cose.h"

#include "crypto/ed25519.h"

#define ALGORITHM_ED25519 (-19)
#define TAG_SIGN1 18

void tf_cose_algorithm(struct tf_reader *reader, int32_t expected)
{
    if (tf_integer(reader) != expected && reader->error == TF_OK) {
        reader->error = TF_ERR_ALGORITHM;
    }
}

static void read_protected(struct tf_reader *outer, struct tf_sealed *sealed)
{
    struct tf_reader reader = tf_enter(outer);
    sealed->protected_header = reader.at;
    tf_expect(&reader, TF_MAP, 2);
    tf_expect(&reader, TF_UINT, 1);
    tf_cose_algorithm(&reader, ALGORITHM_ED25519);
    tf_expect(&reader, TF_UINT, 4);
    sealed->kid = tf_bytes_of(&reader, TF_KID_BYTES);
    tf_leave(outer, &reader);
}

void tf_cose_read(struct tf_reader *reader, bool detached, struct tf_sealed *sealed)
{
    tf_expect(reader, TF_TAG, TAG_SIGN1);
    tf_expect(reader, TF_ARRAY, 4);
    read_protected(reader, sealed);
    tf_expect(reader, TF_MAP, 0);
    if (detached) {
        tf_expect(reader, TF_SIMPLE, TF_CBOR_NULL);
        sealed->payload = (struct tf_view){0};
    } else {
        sealed->payload = tf_bytes(reader);
    }
    sealed->signature = tf_bytes_of(reader, 64);
}

int tf_cose_verify(const struct tf_sealed *sealed, const uint8_t key[TF_KEY_BYTES], struct tf_view payload)
{
    /* Sig_structure: array of 4, "Signature1", protected header, no external data, payload. */
    static const uint8_t before[] = {0x84, 0x6a, 'S', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e', '1', 0x40 + TF_PROTECTED_BYTES};
    static const uint8_t no_external[] = {0x40};
    uint8_t head[9];
    struct tf_writer writer = {head, sizeof head, 0};
    tf_write_head(&writer, TF_BSTR, payload.size);
    const struct tf_view parts[] = {
        {before, sizeof before},
        {sealed->protected_header, TF_PROTECTED_BYTES},
        {no_external, sizeof no_external},
        {head, writer.length},
        payload,
    };
    return tf_ed25519_verify(sealed->signature, key, parts, sizeof parts / sizeof parts[0]);
}
