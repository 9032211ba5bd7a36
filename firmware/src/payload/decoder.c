/* SPDX-License-Identifier: Apache-2.0 */
#include "payload/decoder.h"

#include "payload/heatshrink.h"
#include "store/blocks.h"
#include "store/flash.h"

int tf_decoder_begin(struct tf_agent *agent, const struct tf_base *base)
{
    const struct tf_transfer *transfer = &tf_state(agent)->transfer;
    struct tf_decoder *decoder = &agent->work.decoder;
    decoder->produced = 0;
    tf_stream_init(&decoder->stream, tf_blocks_payload_offset(agent), transfer->payload_bytes);
    if (transfer->encoding == TF_ENCODING_PATCH) {
        return tf_patch_init(&decoder->form.patch, &decoder->stream, &agent->hal, base);
    }
    tf_heatshrink_init(&decoder->form.heatshrink);
    return TF_OK;
}

static int next_byte(struct tf_agent *agent)
{
    struct tf_decoder *decoder = &agent->work.decoder;
    if (tf_state(agent)->transfer.encoding == TF_ENCODING_PATCH) {
        return tf_patch_next(&decoder->form.patch, &decoder->stream, &agent->hal);
    }
    return tf_heatshrink_next(&decoder->form.heatshrink, &decoder->stream, &agent->hal);
}

/* Write the gathered bytes. Each erase unit is erased before its first byte is written, whatever it contains. */
static int put_gathered(struct tf_agent *agent, uint32_t length)
{
    struct tf_decoder *decoder = &agent->work.decoder;
    const uint32_t offset = decoder->produced - length;
    const uint32_t slot = tf_slot_offset(agent, tf_state(agent)->target);
    int error = TF_OK;
    if (offset % agent->hal.geometry.slot[0].erase_size == 0) {
        error = tf_flash_erase(&agent->hal, slot + offset, agent->hal.geometry.slot[0].erase_size);
    }
    return error == TF_OK ? tf_flash_write_padded(&agent->hal, slot + offset, decoder->gathered, length) : error;
}

int tf_decoder_slice(struct tf_agent *agent)
{
    struct tf_decoder *decoder = &agent->work.decoder;
    const uint32_t total = tf_slot_of(agent, tf_state(agent)->target)->pack_bytes;
    const uint32_t stop = total - decoder->produced < TF_SLICE_BYTES ? total : decoder->produced + TF_SLICE_BYTES;
    while (decoder->produced < stop) {
        uint32_t length = 0;
        while (length < sizeof decoder->gathered && decoder->produced < stop) {
            int byte = next_byte(agent);
            if (byte < 0) {
                return byte;
            }
            decoder->gathered[length++] = (uint8_t)byte;
            decoder->produced++;
        }
        int error = put_gathered(agent, length);
        if (error != TF_OK) {
            return error;
        }
    }
    if (decoder->produced < total) {
        return TF_WORKING;
    }
    const bool patched = tf_state(agent)->transfer.encoding == TF_ENCODING_PATCH;
    return patched ? tf_patch_end(&decoder->form.patch, &decoder->stream, &agent->hal) : TF_OK;
}
