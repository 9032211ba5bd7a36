/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of sessions with right tags, which a fuzzer would never guess. */
#ifndef TINYFLEET_FUZZ_SESSION_H
#define TINYFLEET_FUZZ_SESSION_H

#include "fuzz_device.h"
#include "session/session.h"

/* Read the provisioned region of a device whose pre-baked model is a stage. Once for all inputs. */
void fuzz_read_stage_region(void);

/* Make this device, and start it. It has had its first order, so it knows a delegation. */
void fuzz_make_session_device(struct host_device *device);

/* Pass the records of an input: a kind and a length (one byte each), and as many bytes. */
void fuzz_each_record(const uint8_t *data, size_t size, void (*take)(uint8_t kind, const uint8_t *content, size_t length));

/* Pass a message of any bytes to the device. */
void fuzz_handle(struct host_device *device, const uint8_t *message, size_t length);

/* Open the session of this digest: the content has its number in the first byte, and is the key of the peer. */
void fuzz_open_session(struct host_device *device, const uint8_t *digest16, const uint8_t *content, size_t length);

/* Pass a message of five items with the tag that it needs. The second number of a piece may be negative in a message. */
void fuzz_tagged(struct host_device *device, const struct tf_session *session, const struct tf_piece *piece);

#endif
