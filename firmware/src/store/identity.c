/* SPDX-License-Identifier: Apache-2.0 */
#include "store/identity.h"

#include "store/flash.h"
#include "tinyfleet/crc32.h"

#define MAGIC 0x56504654u /* "TFPV" */
#define VERSION 1
#define HEADER_BYTES 640
#define CRC_AT (HEADER_BYTES - 4)
#define IDS_AT 8 /* vendor, class, device, root, public key */
#define SEED_AT 120
#define ADDRESS_AT 152
#define TYPE_AT 156
#define FLEET_AT 188
#define NAME_AT 252
#define PREBAKED_AT 316
#define ADDRESS_MAX 247

_Static_assert(offsetof(struct tf_identity, public_key) == SEED_AT - IDS_AT - TF_KEY_BYTES, "these fields are read at once");
_Static_assert(sizeof(struct tf_prebaked) == 40, "an entry matches docs/specs/flash.md byte for byte");

static int check_crc(const struct tf_hal *hal, uint32_t start)
{
    uint8_t piece[TF_PIECE_BYTES];
    uint32_t crc = 0;
    uint32_t at = 0;
    while (at < CRC_AT) {
        uint32_t n = CRC_AT - at < sizeof piece ? CRC_AT - at : (uint32_t)sizeof piece;
        if (tf_flash_read(hal, start + at, piece, n) != TF_OK) {
            return TF_ERR_FLASH;
        }
        crc = tf_crc32(crc, piece, n);
        at += n;
    }
    if (tf_flash_read(hal, start + at, piece, 4) != TF_OK) {
        return TF_ERR_FLASH;
    }
    return tf_load32(piece) == crc ? TF_OK : TF_ERR_PROVISIONED;
}

static int check_prebaked(struct tf_identity *identity, const struct tf_region *region)
{
    for (uint8_t i = 0; i < identity->prebaked_count; i++) {
        struct tf_prebaked *pack = &identity->prebaked[i];
        if (pack->offset % 8 != 0 || pack->offset < HEADER_BYTES || pack->offset > region->size ||
            pack->size > region->size - pack->offset) {
            return TF_ERR_PROVISIONED;
        }
        pack->offset += region->offset;
    }
    return TF_OK;
}

static int read_fields(struct tf_identity *identity, const struct tf_hal *hal, uint32_t start)
{
    const struct {
        uint32_t at;
        void *to;
        uint32_t length;
    } fields[] = {
        {IDS_AT, identity->vendor, SEED_AT - IDS_AT},      {ADDRESS_AT, &identity->address, 1},
        {ADDRESS_AT + 1, &identity->prebaked_count, 1},    {TYPE_AT, identity->type, sizeof identity->type},
        {FLEET_AT, identity->fleet, sizeof identity->fleet}, {NAME_AT, identity->name, sizeof identity->name},
        {PREBAKED_AT, identity->prebaked, sizeof identity->prebaked},
    };
    int error = TF_OK;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && error == TF_OK; i++) {
        error = tf_flash_read(hal, start + fields[i].at, fields[i].to, fields[i].length);
    }
    return error;
}

int tf_identity_read(struct tf_identity *identity, const struct tf_hal *hal)
{
    const struct tf_region *region = &hal->geometry.provisioned;
    uint8_t head[IDS_AT];
    int error = tf_flash_read(hal, region->offset, head, sizeof head);
    if (error == TF_OK && (tf_load32(head) != MAGIC || tf_load16(head + 4) != VERSION || tf_load16(head + 6) != HEADER_BYTES)) {
        error = TF_ERR_PROVISIONED;
    }
    if (error == TF_OK) {
        error = check_crc(hal, region->offset);
    }
    if (error == TF_OK) {
        error = read_fields(identity, hal, region->offset);
    }
    if (error != TF_OK) {
        return error;
    }
    if (identity->address > ADDRESS_MAX || identity->prebaked_count > TF_PREBAKED_MAX || identity->type[TF_TYPE_MAX] != 0 ||
        identity->fleet[TF_NAME_MAX] != 0 || identity->name[TF_NAME_MAX] != 0) {
        return TF_ERR_PROVISIONED;
    }
    return check_prebaked(identity, region);
}

int tf_identity_seed(const struct tf_hal *hal, uint8_t seed[TF_KEY_BYTES])
{
    return tf_flash_read(hal, hal->geometry.provisioned.offset + SEED_AT, seed, TF_KEY_BYTES);
}
