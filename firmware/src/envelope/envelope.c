/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/envelope.h"

#include <string.h>

#include "crypto/cose.h"
#include "envelope/delegation.h"
#include "envelope/manifest.h"
#include "tinyfleet/sha256.h"

#define TAG_ENVELOPE 107
#define SEQUENCE_JUMP_MAX 1024

/* The outer parts of an envelope. Nothing in it is trusted yet. */
struct frame {
    struct tf_view chain; /* of delegations; data is NULL when there is none */
    const uint8_t *manifest_digest;
    struct tf_sign1 signature;
    struct tf_view manifest;
    struct tf_view wrapped_manifest; /* with its CBOR head, which the digest covers */
    struct tf_view signed_part;      /* from key 2 on */
};

/* V2. */
static struct tf_reader read_outer(struct tf_reader *reader, struct frame *frame)
{
    tf_expect_head(reader, TF_TAG, TAG_ENVELOPE);
    uint32_t count = tf_read_head(reader, TF_MAP);
    if (count == 3) {
        tf_expect_head(reader, TF_UINT, 1);
        frame->chain = tf_read_bytes(reader);
    } else if (count != 2 && reader->error == TF_OK) {
        reader->error = TF_ERR_UNEXPECTED;
    }
    frame->signed_part.data = reader->at;
    tf_expect_head(reader, TF_UINT, 2);
    struct tf_reader authentication = tf_reader_enter(reader);
    tf_expect_head(reader, TF_UINT, 3);
    frame->wrapped_manifest.data = reader->at;
    frame->manifest = tf_read_bytes(reader);
    frame->wrapped_manifest.size = (size_t)(reader->end - frame->wrapped_manifest.data);
    frame->signed_part.size = (size_t)(reader->end - frame->signed_part.data);
    return authentication;
}

/* V1 ... V3. */
static int read_frame(struct tf_view envelope, struct frame *frame)
{
    memset(frame, 0, sizeof *frame);
    if (envelope.size > TF_ENVELOPE_MAX) {
        return TF_ERR_TOO_LONG;
    }
    struct tf_reader reader;
    tf_reader_init(&reader, envelope);
    struct tf_reader authentication = read_outer(&reader, frame);
    int error = tf_reader_end(&reader);
    if (error != TF_OK) {
        return error;
    }
    tf_expect_head(&authentication, TF_ARRAY, 2);
    frame->manifest_digest = tf_manifest_digest(&authentication);
    struct tf_reader sign1 = tf_reader_enter(&authentication);
    tf_cose_read(&sign1, true, &frame->signature);
    tf_reader_leave(&authentication, &sign1);
    return tf_reader_end(&authentication);
}

/* V4. */
static int check_manifest_digest(const struct frame *frame)
{
    struct tf_sha256 sha;
    uint8_t digest[TF_DIGEST_BYTES];
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, frame->wrapped_manifest.data, frame->wrapped_manifest.size);
    tf_sha256_final(&sha, digest);
    return tf_same(digest, frame->manifest_digest, sizeof digest) ? TF_OK : TF_ERR_DIGEST;
}

/* V5 ... V9. */
static int read_delegation(struct tf_view chain, const struct tf_identity *identity, struct tf_delegation *delegation)
{
    struct tf_reader reader;
    tf_reader_init(&reader, chain);
    tf_expect_head(&reader, TF_ARRAY, 1);
    tf_expect_head(&reader, TF_ARRAY, 1);
    struct tf_view cwt = tf_read_bytes(&reader);
    int error = tf_reader_end(&reader);
    return error == TF_OK ? tf_delegation_verify(cwt, identity->root, identity->vendor, delegation) : error;
}

/* V5 ... V12: find the delegation that this envelope is verified with. */
static int find_delegation(const struct frame *frame, const struct tf_trust *trust, struct tf_delegation *delegation)
{
    *delegation = *trust->delegation;
    if (frame->chain.data != NULL) {
        int error = read_delegation(frame->chain, trust->identity, delegation);
        if (error != TF_OK) {
            return error;
        }
        if (delegation->epoch < trust->delegation->epoch) {
            return TF_ERR_REVOKED;
        }
    } else if (delegation->epoch == 0) {
        return TF_ERR_NO_DELEGATION;
    }
    return trust->now != 0 && delegation->exp != 0 && trust->now > delegation->exp ? TF_ERR_EXPIRED : TF_OK;
}

/* V13, V14. */
static int check_signature(const struct frame *frame, const uint8_t key[TF_KEY_BYTES])
{
    uint8_t payload[4 + TF_DIGEST_BYTES] = {0x82, 0x2f, 0x58, 0x20}; /* SUIT_Digest: SHA-256, 32 bytes */
    if (!tf_is_key_id(frame->signature.kid, key)) {
        return TF_ERR_SIGNER;
    }
    memcpy(payload + 4, frame->manifest_digest, TF_DIGEST_BYTES);
    return tf_cose_verify(&frame->signature, key, (struct tf_view){payload, sizeof payload});
}

/* V16 ... V18. */
static int check_target(const struct tf_manifest *manifest, const struct tf_identity *identity)
{
    if (!manifest->configure && !tf_same(manifest->vendor, identity->vendor, TF_UUID_BYTES)) {
        return TF_ERR_VENDOR;
    }
    if (!manifest->configure && !tf_same(manifest->class_id, identity->class_id, TF_UUID_BYTES)) {
        return TF_ERR_CLASS;
    }
    return tf_same(manifest->device, identity->device, TF_UUID_BYTES) ? TF_OK : TF_ERR_DEVICE;
}

/* V19 ... V22. */
static int check_contents(const struct tf_manifest *manifest, const struct tf_trust *trust)
{
    if (manifest->sequence <= trust->sequence) {
        return TF_ERR_SEQUENCE;
    }
    if (manifest->sequence - trust->sequence > SEQUENCE_JUMP_MAX) {
        return TF_ERR_SEQUENCE_JUMP;
    }
    if (!manifest->configure) {
        return manifest->size <= trust->slot_bytes ? TF_OK : TF_ERR_SIZE;
    }
    return trust->running != NULL && tf_same(manifest->digest, trust->running, TF_DIGEST_BYTES) ? TF_OK : TF_ERR_MODEL;
}

int tf_envelope_verify(struct tf_view envelope, const struct tf_trust *trust, struct tf_accepted *accepted)
{
    struct frame frame;
    int error = read_frame(envelope, &frame);
    if (error == TF_OK) {
        error = check_manifest_digest(&frame);
    }
    if (error == TF_OK) {
        error = find_delegation(&frame, trust, &accepted->delegation);
    }
    if (error == TF_OK) {
        error = check_signature(&frame, accepted->delegation.key);
    }
    if (error == TF_OK) {
        error = tf_manifest_read(frame.manifest, &accepted->manifest);
    }
    if (error == TF_OK) {
        error = check_target(&accepted->manifest, trust->identity);
    }
    if (error == TF_OK) {
        error = check_contents(&accepted->manifest, trust);
    }
    if (error == TF_OK) {
        accepted->signed_part = frame.signed_part;
    }
    return error;
}

int tf_envelope_keep(const struct tf_accepted *accepted, struct tf_slot *slot)
{
    static const uint8_t outer[] = {0xd8, TAG_ENVELOPE, 0xa2}; /* the tag, and a map of two entries: without the delegation */
    size_t length = sizeof outer + accepted->signed_part.size;
    if (length > sizeof slot->envelope) {
        return TF_ERR_TOO_LONG;
    }
    memset(slot->envelope, 0, sizeof slot->envelope);
    memcpy(slot->envelope, outer, sizeof outer);
    memcpy(slot->envelope + sizeof outer, accepted->signed_part.data, accepted->signed_part.size);
    slot->envelope_bytes = (uint16_t)length;
    memcpy(slot->signer, accepted->delegation.key, TF_KEY_BYTES);
    memcpy(slot->digest, accepted->manifest.digest, TF_DIGEST_BYTES);
    slot->pack_bytes = accepted->manifest.size;
    return TF_OK;
}

int tf_envelope_verify_kept(const struct tf_slot *slot, const struct tf_identity *identity, uint32_t sequence)
{
    struct frame frame;
    struct tf_manifest manifest;
    if (slot->envelope_bytes > sizeof slot->envelope) {
        return TF_ERR_TOO_LONG;
    }
    int error = read_frame((struct tf_view){slot->envelope, slot->envelope_bytes}, &frame);
    if (error == TF_OK) {
        error = check_manifest_digest(&frame);
    }
    if (error == TF_OK) {
        error = check_signature(&frame, slot->signer);
    }
    if (error == TF_OK) {
        error = tf_manifest_read(frame.manifest, &manifest);
    }
    if (error == TF_OK) {
        error = check_target(&manifest, identity);
    }
    if (error != TF_OK) {
        return error;
    }
    if (manifest.configure || manifest.size != slot->pack_bytes ||
        !tf_same(manifest.digest, slot->digest, TF_DIGEST_BYTES)) {
        return TF_ERR_IMAGE;
    }
    return manifest.sequence <= sequence ? TF_OK : TF_ERR_SEQUENCE;
}
