/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/delegation.h"

#include <string.h>

#include "crypto/cose.h"
#include "envelope/manifest.h"

/* V5 ... V8 and N1 ... N4: the claims that this root has signed. */
static int read_signed(struct tf_view bytes, const uint8_t root[TF_KEY_BYTES], bool is_rotation, struct tf_claims *claims)
{
    struct tf_reader reader;
    struct tf_sign1 sign1;
    tf_reader_init(&reader, bytes);
    tf_cose_read(&reader, false, &sign1);
    int error = tf_reader_end(&reader);
    if (error != TF_OK) {
        return error;
    }
    if (!tf_is_key_id(sign1.kid, root)) {
        return TF_ERR_ROOT;
    }
    if (tf_cose_verify(&sign1, root, sign1.payload) != TF_OK) {
        return TF_ERR_DELEGATION_SIGNATURE;
    }
    return tf_claims_read(sign1.payload, is_rotation, claims);
}

int tf_delegation_verify(struct tf_view cwt, const uint8_t root[TF_KEY_BYTES], const uint8_t vendor[TF_UUID_BYTES],
                         struct tf_delegation *delegation)
{
    struct tf_claims claims;
    int error = read_signed(cwt, root, false, &claims);
    if (error != TF_OK) {
        return error;
    }
    memcpy(delegation->key, claims.key, TF_KEY_BYTES);
    delegation->epoch = claims.number;
    delegation->exp = claims.exp;
    return tf_same(claims.vendor, vendor, TF_UUID_BYTES) ? TF_OK : TF_ERR_FLEET;
}

int tf_rotation_verify(struct tf_view bytes, struct tf_view cwt, const struct tf_identity *identity, uint16_t last,
                       struct tf_rotation *rotation)
{
    struct tf_claims claims;
    int error = read_signed(bytes, identity->root, true, &claims);
    if (error != TF_OK) {
        return error;
    }
    if (claims.number <= last || claims.number > UINT16_MAX) {
        return TF_ERR_SEQUENCE;
    }
    rotation->root = claims.key;
    rotation->number = (uint16_t)claims.number;
    memset(&rotation->delegation, 0, sizeof rotation->delegation);
    return cwt.size != 0 ? tf_delegation_verify(cwt, claims.key, identity->vendor, &rotation->delegation) : TF_OK;
}
