/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part for operations (docs/specs/operations.md, section 7): the gateway calls built-ins, functions of the device, and the
 * device asks for operations of nodes. A port that wants it links src/operations, provides the memory, and calls
 * tf_agent_serve_operations() before tf_agent_boot().
 */
#ifndef TINYFLEET_OPERATIONS_H
#define TINYFLEET_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/error.h"
#include "tinyfleet/session_state.h"

struct tf_agent;

/* Most octets of a call, a request, and their answers. */
#define TF_OCTETS_MAX 600

/* A function of the device that its gateway may call. */
struct tf_builtin {
    uint8_t number; /* 1 ... 255, as in the DeviceType */
    /*
     * Take the octets of a call, write the result, and return its length, or a negative number of -128 ... -1 that the caller
     * gets. Runs once for each call. Of the agent it may use tf_operations_ask() only, and it must not take longer than an
     * answer may (TF_ANSWER_MS).
     */
    int (*call)(void *ctx, const uint8_t *octets, size_t length, uint8_t *result, size_t capacity);
};

/* The state of the part. Its fields belong to the part; a restart begins with all of it zero. */
struct tf_calls {
    struct tf_session session;
    uint32_t seq;           /* of the last call */
    uint32_t number;        /* of the last request */
    uint32_t sent_ms;       /* when it was last sent */
    const uint8_t *octets;  /* of the request */
    uint16_t octets_length;
    uint16_t result_length; /* of the last call */
    int8_t code;            /* of the last call */
    uint8_t operation;      /* of the request */
    bool waits;             /* the request has no final reply yet */
    bool taken;             /* a node has its work */
    bool due;               /* it is to be sent at once */
};

/* The caller provides the memory, and sets all but the state. */
struct tf_operations {
    const struct tf_builtin *builtins;
    size_t builtin_count;
    void *ctx;       /* of the built-ins and of `replied` */
    uint8_t *result; /* of the last call, which is kept until the next one */
    size_t result_capacity;
    /*
     * The reply to the request: code 1 when a node has the work; then, once, 0 with the outputs, or a negative code of
     * docs/specs/operations.md, section 3, with its sign changed. NULL: nobody wants to know.
     */
    void (*replied)(void *ctx, int code, const uint8_t *octets, size_t length);
    struct tf_calls state;
};

/* What the agent calls. Untied from the core: a port without the part has no function of it. */
struct tf_operations_part {
    uint32_t operators; /* added to the bits of the engines */
    /* At each poll: TF_POLL_REQUEST when the request is to be sent, or 0. */
    int (*slice)(struct tf_agent *agent);
    /* A message of type 7, 10 or 11: as in struct tf_recorder (samples.h). */
    int (*answer)(struct tf_agent *agent, const uint8_t *message, size_t length, uint8_t *reply, size_t capacity);
};

extern const struct tf_operations_part tf_operations_part;

/*
 * Ask for the operation that the DeviceType has under this number. The octets must stay as they are until the final reply. TF_OK,
 * TF_ERR_BUSY while an earlier request waits, or TF_ERR_RANGE when there are more than TF_OCTETS_MAX octets. A request that a restart
 * finds waiting is lost.
 */
TF_MUST_CHECK int tf_operations_ask(struct tf_agent *agent, uint8_t operation, const uint8_t *octets, size_t length);

/* After TF_POLL_REQUEST: write the request as a message. Its length, or a negative error. */
TF_MUST_CHECK int tf_operations_request(struct tf_agent *agent, uint8_t *message, size_t capacity);

#endif
