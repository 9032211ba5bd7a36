/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An envelope, as received and as stored, and a rotation of the root. Every signature is valid (any_signature.c). Manifests and claims are protected
 * by digests that a fuzzer never matches, so the same bytes are also parsed as those.
 */
#include <string.h>

#include "envelope/delegation.h"
#include "envelope/envelope.h"
#include "envelope/manifest.h"
#include "fuzz.h"

static struct tf_view exactly(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, data, size);
    return (struct tf_view){copy, size};
}

static void take(struct tf_view envelope)
{
    static const struct tf_identity identity;
    const struct tf_delegation delegation = {.epoch = 1};
    const struct tf_trust trust = {.identity = &identity, .delegation = &delegation, .slot_bytes = UINT32_MAX};
    struct tf_accepted accepted;
    struct tf_slot slot = {0};
    if (tf_envelope_verify(envelope, &trust, &accepted) == TF_OK) {
        FUZZ_HOLDS(tf_envelope_keep(&accepted, &slot) == TF_OK);
        FUZZ_HOLDS(accepted.manifest.configure || tf_envelope_verify_kept(&slot, &identity, accepted.manifest.sequence) == TF_OK);
    }
}

static void take_as_stored(struct tf_view envelope)
{
    static const struct tf_identity identity;
    struct tf_slot slot = {.envelope_bytes = (uint16_t)envelope.size};
    memcpy(slot.envelope, envelope.data, envelope.size < sizeof slot.envelope ? envelope.size : sizeof slot.envelope);
    (void)(tf_envelope_verify_kept(&slot, &identity, UINT32_MAX) == TF_OK);
}

static void take_as_parts(struct tf_view bytes)
{
    struct tf_manifest manifest;
    struct tf_claims claims = {0};
    if (tf_manifest_read(bytes, &manifest) == TF_OK) {
        FUZZ_HOLDS(manifest.sequence != 0 && manifest.value_count <= TF_PARAMETERS_MAX && manifest.device != NULL);
    }
    if (tf_claims_read(bytes, false, &claims) == TF_OK) {
        FUZZ_HOLDS(claims.number != 0 && claims.vendor != NULL);
    }
    if (tf_claims_read(bytes, true, &claims) == TF_OK) {
        FUZZ_HOLDS(claims.number != 0 && claims.key != NULL);
    }
}

static void take_as_rotation(struct tf_view bytes)
{
    static const struct tf_identity identity;
    struct tf_rotation rotation;
    if (tf_rotation_verify(bytes, bytes, &identity, 1, &rotation) == TF_OK) {
        FUZZ_HOLDS(rotation.number > 1 && rotation.delegation.epoch != 0);
    }
    if (tf_rotation_verify(bytes, (struct tf_view){0}, &identity, 1, &rotation) == TF_OK) {
        FUZZ_HOLDS(rotation.number > 1 && rotation.delegation.epoch == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tf_view bytes = exactly(data, size);
    take(bytes);
    take_as_stored(bytes);
    take_as_parts(bytes);
    take_as_rotation(bytes);
    free((void *)(uintptr_t)bytes.data);
    return 0;
}
