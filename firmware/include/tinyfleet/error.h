/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One number per kind of failure, used in result messages, in reports and by the gateway. Append-only.
 * -1 ... -63 are the errors of docs/specs/envelope.md; the others are the device's own.
 */
#ifndef TINYFLEET_ERROR_H
#define TINYFLEET_ERROR_H

#if defined(__GNUC__) || defined(__clang__)
#define TF_MUST_CHECK __attribute__((warn_unused_result))
#else
#define TF_MUST_CHECK
#endif

enum tf_error {
    TF_OK = 0,
    TF_WORKING = 1, /* not an error: in progress, ask again */

    /* Not errors, and never sent: how functions of the core report what to do next. */
    TF_NO_MORE = 2,      /* the index is past the last item, or the stream has ended */
    TF_NEEDS_BLOCKS = 3, /* the transfer is open and waits for blocks: answer `have` */
    TF_NEXT = 4,         /* this candidate can't run: try the next one */

    /* envelopes: docs/specs/envelope.md numbers and explains them */
    TF_ERR_TOO_LONG = -1,
    TF_ERR_TRUNCATED = -2,
    TF_ERR_NOT_CANONICAL = -3,
    TF_ERR_UNEXPECTED = -4,
    TF_ERR_TRAILING = -5,
    TF_ERR_OUT_OF_RANGE = -6,
    TF_ERR_ALGORITHM = -7,
    TF_ERR_DIGEST = -8,
    TF_ERR_ROOT = -9,
    TF_ERR_DELEGATION_SIGNATURE = -10,
    TF_ERR_FLEET = -11,
    TF_ERR_REVOKED = -12,
    TF_ERR_NO_DELEGATION = -13,
    TF_ERR_EXPIRED = -14,
    TF_ERR_SIGNER = -15,
    TF_ERR_SIGNATURE = -16,
    TF_ERR_VENDOR = -17,
    TF_ERR_CLASS = -18,
    TF_ERR_DEVICE = -19,
    TF_ERR_SEQUENCE = -20,
    TF_ERR_SEQUENCE_JUMP = -21,
    TF_ERR_SIZE = -22,
    TF_ERR_MODEL = -23,
    TF_ERR_IMAGE = -24,

    /* the port and its flash */
    TF_ERR_FLASH = -64,       /* an erase, write or read failed, or a write did not read back */
    TF_ERR_GEOMETRY = -65,    /* the port's geometry is invalid: a bug in the port */
    TF_ERR_PROVISIONED = -66, /* the provisioned region is missing or damaged */
    TF_ERR_JOURNAL = -67,     /* neither journal sector accepts a record */

    /* messages and transfers */
    TF_ERR_MESSAGE = -70,     /* not a valid message (protocol.md) */
    TF_ERR_CAPACITY = -71,    /* an answer does not fit the buffer: a bug in the caller */
    TF_ERR_NO_TRANSFER = -72, /* no such transfer is open */
    TF_ERR_BLOCK_SIZE = -73,  /* block-bytes is too large, or not a multiple of flash's write unit */
    TF_ERR_TOO_LARGE = -74,   /* the pack or the payload does not fit the slot */
    TF_ERR_NO_UPDATES = -75,  /* this device does not take packs over the air */
    TF_ERR_ENCODING = -76,    /* unknown payload encoding, or the sizes contradict it */
    TF_ERR_BUSY = -77,        /* a trial is running, or a restart is due: offers wait */
    TF_ERR_NO_PAYLOAD = -78,  /* the device does not have the pack, and the offer names no payload */
    TF_ERR_SPACE = -79,       /* the device keeps no such samples */
    TF_ERR_RANGE = -80,       /* not all of the range is held, or it is too long */

    /* packs */
    TF_ERR_STREAM = -81,    /* a compressed stream is malformed */
    TF_ERR_PATCH = -82,     /* a patch is malformed, or made against another pack */
    TF_ERR_PACK = -83,      /* the pack's structure is malformed */
    TF_ERR_KIND = -84,      /* no engine runs this kind of pack */
    TF_ERR_OPERATOR = -85,  /* the pack needs an operator that this engine lacks */
    TF_ERR_ARENA = -86,     /* the pack needs a larger arena */
    TF_ERR_GOLDEN = -87,    /* a golden vector gave an unexpected output */
    TF_ERR_PARAMETER = -88, /* no such parameter, or the value is out of range */

    /* trials and inference */
    TF_ERR_RESET = -90,   /* a reset ended the trial */
    TF_ERR_FAULT = -91,   /* the watchdog or a fault ended the trial */
    TF_ERR_INPUT = -92,   /* input is missing, or not of the size that the model takes */
    TF_ERR_NOTHING = -93, /* no model runs */

    /* stages of a pipeline, and operations */
    TF_ERR_SESSION = -95,  /* no session is open */
    TF_ERR_FUNCTION = -96, /* the device has no built-in of this number */
};

#endif
