/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One number for each way to fail, the same in a result message, in a report and in Python. Append-only.
 * -1 ... -63 are those of docs/specs/envelope.md; the rest are the device's own.
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
    TF_WORKING = 1, /* not an error: ask again */
    TF_END = 2,     /* not an error: there is no more */

    /* envelopes, as docs/specs/envelope.md numbers and explains them */
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
    TF_ERR_FLASH = -64,       /* an erase, write or read failed, or did not hold what was written */
    TF_ERR_GEOMETRY = -65,    /* the port's geometry can't be: a bug of the port */
    TF_ERR_PROVISIONED = -66, /* the provisioned region is missing or damaged */
    TF_ERR_JOURNAL = -67,     /* neither journal sector takes a record */

    /* messages and transfers */
    TF_ERR_MESSAGE = -70,     /* not a message of protocol.md */
    TF_ERR_CAPACITY = -71,    /* an answer does not fit the buffer: a bug of the caller */
    TF_ERR_NO_TRANSFER = -72, /* no such transfer is open */
    TF_ERR_BLOCK_SIZE = -73,  /* block-bytes can't be: too large, or not a multiple of what flash writes */
    TF_ERR_TOO_LARGE = -74,   /* pack or payload does not fit its slot */
    TF_ERR_NO_UPDATES = -75,  /* this device takes no packs over the air */
    TF_ERR_ENCODING = -76,    /* payload encoding unknown, or the sizes contradict it */
    TF_ERR_BUSY = -77,        /* a trial is on: offers wait */
    TF_ERR_NO_PAYLOAD = -78,  /* the pack lies nowhere here, and the offer names no payload */

    /* packs */
    TF_ERR_STREAM = -81,    /* a compressed stream is malformed */
    TF_ERR_PATCH = -82,     /* a patch is malformed, or for another old pack */
    TF_ERR_PACK = -83,      /* the pack's structure is malformed */
    TF_ERR_KIND = -84,      /* no engine for this kind of pack */
    TF_ERR_OPERATOR = -85,  /* needs an operator that this engine lacks */
    TF_ERR_ARENA = -86,     /* needs a larger arena */
    TF_ERR_GOLDEN = -87,    /* golden vector: another output than expected */
    TF_ERR_PARAMETER = -88, /* no such parameter, or not this value */

    /* trials and inference */
    TF_ERR_RESET = -90,   /* the trial was ended by a reset */
    TF_ERR_FAULT = -91,   /* the trial was ended by the watchdog or a fault */
    TF_ERR_INPUT = -92,   /* input missing or not of the size that the model takes */
    TF_ERR_NOTHING = -93, /* no model runs */
};

#endif
