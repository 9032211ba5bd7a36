/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

#include "crypto/cose.h"
#include "crypto/ed25519.h"
#include "store/identity.h"

#define MESSAGE_SIGNED 12
#define SIGNATURE_BYTES 64

/* Tag 18, array of 4, protected header {1: -19, 4: kid}, empty unprotected header. */
static const uint8_t cose_head[] = {0xd2, 0x84, 0x4d, 0xa2, 0x01, 0x32, 0x04, 0x48};
#define PROTECTED_AT 2
#define COSE_BEFORE_BODY (sizeof cose_head + TF_KID_BYTES + 1)

/* The external data: covered by the signature but not sent. An array of context, device, nonce (report.md). */
static void write_external(struct tf_writer *writer, const struct tf_agent *agent, struct tf_view nonce)
{
    static const char context[] = "tinyfleet/report/1";
    tf_write_head(writer, TF_ARRAY, 3);
    tf_write_bytes(writer, context, sizeof context - 1);
    tf_write_bytes(writer, agent->identity.device, TF_UUID_BYTES);
    tf_write_bytes(writer, nonce.data, nonce.size);
}

static int sign(struct tf_agent *agent, struct tf_view nonce, struct tf_view protected_header, struct tf_view body, uint8_t *signature)
{
    static const uint8_t before[] = {0x84, 0x6a, 'S', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e', '1'};
    uint8_t external[64];
    uint8_t external_head[2];
    uint8_t seed[TF_KEY_BYTES];
    struct tf_writer writer = {external, sizeof external, 0};
    struct tf_writer head = {external_head, sizeof external_head, 0};
    write_external(&writer, agent, nonce);
    tf_write_head(&head, TF_BSTR, writer.length);
    const struct tf_view parts[] = {
        {before, sizeof before}, protected_header, {external_head, head.length}, {external, writer.length}, body,
    };
    int error = tf_identity_seed(&agent->hal, seed);
    if (error == TF_OK) {
        tf_ed25519_sign(signature, seed, agent->identity.public_key, parts, sizeof parts / sizeof parts[0]);
    }
    tf_wipe(seed, sizeof seed);
    return error;
}

static size_t body_length(struct tf_agent *agent, tf_body_writer *write_body)
{
    struct tf_writer counting = {0};
    write_body(&counting, agent);
    return counting.length;
}

int tf_report_sign(struct tf_agent *agent, tf_body_writer *write_body, struct tf_view nonce, uint8_t *out, size_t capacity)
{
    struct tf_writer writer = {out, capacity, 0};
    struct tf_writer head = {0};
    uint8_t kid[TF_KID_BYTES];
    uint8_t signature[SIGNATURE_BYTES];
    agent->counters.reports++;
    const size_t length = body_length(agent, write_body);
    tf_write_head(&head, TF_BSTR, length);
    tf_write_head(&writer, TF_ARRAY, 2);
    tf_write_uint(&writer, MESSAGE_SIGNED);
    tf_write_head(&writer, TF_BSTR, COSE_BEFORE_BODY + head.length + length + 2 + SIGNATURE_BYTES);
    const size_t cose_at = writer.length;
    tf_key_id(kid, agent->identity.public_key);
    tf_write_raw(&writer, cose_head, sizeof cose_head);
    tf_write_raw(&writer, kid, sizeof kid);
    tf_write_head(&writer, TF_MAP, 0);
    const size_t body_at = writer.length;
    tf_write_head(&writer, TF_BSTR, length);
    write_body(&writer, agent);
    const size_t body_end = writer.length;
    if (body_end + 2 + SIGNATURE_BYTES > capacity) {
        return TF_ERR_CAPACITY;
    }
    const struct tf_view protected_header = {out + cose_at + PROTECTED_AT, sizeof cose_head - PROTECTED_AT + TF_KID_BYTES};
    int error = sign(agent, nonce, protected_header, (struct tf_view){out + body_at, body_end - body_at}, signature);
    if (error != TF_OK) {
        return error;
    }
    tf_write_bytes(&writer, signature, sizeof signature);
    return (int)writer.length;
}

int tf_report_write(struct tf_agent *agent, enum tf_body body, struct tf_view nonce, uint8_t *out, size_t capacity)
{
    return tf_report_sign(agent, tf_body(body), nonce, out, capacity);
}
