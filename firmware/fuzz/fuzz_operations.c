/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway that went mad, to a complete agent with built-ins: calls and replies with right tags around any content, in any
 * order, messages of any bytes, and requests of the device. Every signature is valid (any_signature.c).
 *
 * Input and device: as in fuzz_stage.c.
 */
#include "fuzz.h"
#include "fuzz_session.h"

#define PLACE_BYTES 5 /* of seq, and of function or code, before the octets */
#define CALL_TYPE 10
#define REPLY_TYPE 11

static struct host_device device;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_read_stage_region();
    return 0;
}

static void tagged(uint8_t type, const uint8_t *content, size_t length)
{
    if (length < PLACE_BYTES) {
        return;
    }
    const uint32_t number = type == CALL_TYPE ? content[4] : (uint32_t)(int8_t)content[4];
    const struct tf_piece piece = {type, tf_load32(content), number, {content + PLACE_BYTES, length - PLACE_BYTES}};
    fuzz_tagged(&device, &device.builtins.operations.state.session, &piece);
}

static void request(void)
{
    uint8_t message[FUZZ_REPLY_BYTES];
    if ((host_poll(&device, device.now_ms + 1000) & TF_POLL_REQUEST) != 0) {
        FUZZ_HOLDS(host_request(&device, message, sizeof message) > 0);
    }
}

static void check(void)
{
    const struct tf_calls *calls = &device.builtins.operations.state;
    FUZZ_HOLDS(calls->result_length <= sizeof device.builtins.result);
    FUZZ_HOLDS(calls->code <= 0 && (calls->code == 0 || calls->result_length == 0));
    FUZZ_HOLDS(calls->seq == 0 || calls->session.number != 0);
    FUZZ_HOLDS(device.builtins.replies + (calls->waits ? 1u : 0u) == calls->number); /* each request has one final reply */
    FUZZ_HOLDS(device.builtins.taken <= calls->number);
    FUZZ_HOLDS(device.flash.violations == 0);
}

static void take(uint8_t kind, const uint8_t *content, size_t length)
{
    static const uint8_t calls_digest[TF_DIGEST16_BYTES];
    switch (kind % 6) {
    case 0:
        fuzz_open_session(&device, calls_digest, content, length);
        break;
    case 1:
        tagged(CALL_TYPE, content, length);
        break;
    case 2:
        tagged(REPLY_TYPE, content, length);
        break;
    case 3:
        fuzz_handle(&device, content, length);
        break;
    case 4:
        FUZZ_HOLDS(host_store(&device) <= 0);
        break;
    default:
        request();
        break;
    }
    check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_make_session_device(&device);
    fuzz_each_record(data, size, take);
    return 0;
}
