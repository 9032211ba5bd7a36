/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of sessions with right tags, which a fuzzer would never guess. */
#ifndef TINYFLEET_FUZZ_SESSION_H
#define TINYFLEET_FUZZ_SESSION_H

#include "fuzz_device.h"
#include "session/session.h"

/* A device that has had its first order: it knows a delegation. */
void fuzz_delegate(struct host_device *device);

/* Pass a message of any bytes to the device. */
void fuzz_handle(struct host_device *device, const uint8_t *message, size_t length);

/* Open the session of this digest: the content has its number in the first byte, and is the key of the peer. */
void fuzz_open_session(struct host_device *device, const uint8_t *digest16, const uint8_t *content, size_t length);

/* Pass a message of five items with the tag that it needs. The second number of a piece may be negative in a message. */
void fuzz_tagged(struct host_device *device, const struct tf_session *session, const struct tf_piece *piece);

#endif
